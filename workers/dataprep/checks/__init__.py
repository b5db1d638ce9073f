"""The checks: what may be wrong with a dataset, each with a name, a severity, an address and what to do.

found        Severity, Found: what a check says
catalogue    every check's name, in a sentence, with its fix
chat         raw chat records: the cookbook's seven, and its warnings
parts        content in parts
declared     raw records: tools that are declared and called in the vendors' shape
calls        an example's calls of tools and their results
answers      an example's turns, answers and garbled text
private      an example's secrets and personal data
secrets, personal, mojibake    scanners of text, each with a fast look at raw bytes; spans, escapes, texts, excerpts
whole        what only the whole dataset shows, from mergeable tallies; language, endings, answer_kinds
vendors      what a provider demands of a dataset, from dated data (vendor_rules.json)
"""

from collections.abc import Callable, Iterator

from workers.dataprep.checks import answers, calls, chat, declared, private
from workers.dataprep.checks.chat import Check, missing_system_message, missing_user_message
from workers.dataprep.checks.found import Found, Severity
from workers.dataprep.example import Example

__all__ = [
    "CHAT_CHECKS",
    "EXAMPLE_CHECKS",
    "PRIVATE_CHECKS",
    "Check",
    "ExampleCheck",
    "Found",
    "Severity",
    "missing_system_message",
    "missing_user_message",
]

ExampleCheck = Callable[[Example], Iterator[Found]]

CHAT_CHECKS: tuple[Check, ...] = (
    chat.missing_messages_list,
    chat.data_type,
    chat.message_missing_key,
    chat.message_unrecognized_key,
    chat.unrecognized_role,
    chat.missing_content,
    chat.example_missing_assistant_message,
    chat.missing_system_message,
    chat.missing_user_message,
    chat.content_parts,
    chat.message_weight,
    chat.nothing_to_learn,
    declared.declared_tools,
    declared.called_tools,
)
"""Of a raw record of openai-chat; prompts alone need no `example_missing_assistant_message`."""

EXAMPLE_CHECKS: tuple[ExampleCheck, ...] = (
    answers.empty_answer,
    answers.turn_order,
    answers.system_not_first,
    answers.ends_without_answer,
    answers.rejected_equals_chosen,
    answers.garbled_text,
    calls.tool_calls,
    calls.tool_results,
)
"""Of an example of any format. `garbled_text` finds nothing where `mojibake.may_have` is False of the line's bytes."""

PRIVATE_CHECKS: tuple[ExampleCheck, ...] = (private.secret, private.personal_data)
"""Of an example of any format; they find nothing where the scanners' `may_have` is False of the line's bytes."""
