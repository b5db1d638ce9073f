"""Every check by name: how much it matters, what it is about, what to do, and the fix that a machine can make.

The report card, the documentation and the fixes read this one table; a test holds every finding to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from workers.dataprep.checks.found import Severity


class Fix(StrEnum):
    """What a machine can do about a finding; the original file is never changed."""

    DROP = "drop"  # leave the example out
    TRIM = "trim"  # cut off what does not belong
    JOIN = "join"  # make two messages of one speaker one
    REORDER = "reorder"  # put messages where they belong
    REDACT = "redact"  # write what stood there instead of it
    RE_ENCODE = "re-encode"  # turn garbled text back
    DEDUPE = "dedupe"  # leave out all but the first; the engine says which


@dataclass(frozen=True)
class Described:
    """A check, described for people. `severity` is the gravest that it has."""

    severity: Severity
    about: str
    do: str
    fix: Fix | None = None
    fixes_here: bool = True
    """Whether `fixes.apply` finds the examples itself; else the engine names their lines."""


E, W, HINT = Severity.ERROR, Severity.WARNING, Severity.INFO

_READING = {
    "invalid_json": Described(
        E, "The line is not valid JSON.", "Mend it where the finding says, or drop it.", Fix.DROP
    ),
    "invalid_utf8": Described(E, "The line has bytes that are no UTF-8.", "Save the file as UTF-8.", Fix.RE_ENCODE),
    "duplicate_key": Described(E, "A key stands twice in one object.", "Keep the one that is meant.", Fix.DROP),
    "not_a_number": Described(E, "NaN or Infinity, which JSON does not have.", "Write a number or null.", Fix.DROP),
    "lone_surrogate": Described(E, "Half a character, which is no text.", "Write the whole character.", Fix.DROP),
    "number_too_big": Described(E, "A number beyond 64 bits.", "Write it as text.", Fix.DROP),
    "nul_character": Described(E, "A NUL character in the text.", "Remove it.", Fix.DROP),
    "too_deep": Described(E, "Objects nested deeper than any example needs.", "Flatten them.", Fix.DROP),
    "too_many_values": Described(E, "More values than any example needs.", "Split or drop it.", Fix.DROP),
    "line_too_long": Described(E, "A line too long for an example.", "Split or drop it.", Fix.DROP),
    "broken_document": Described(E, "The JSON document breaks off or is damaged.", "Export it again."),
    "ragged_row": Described(
        E, "A row has more or fewer cells than the header.", "Mend its commas and quotes.", Fix.DROP
    ),
    "unclosed_quote": Described(E, "A quote is opened and never closed.", "Close it.", Fix.DROP),
    "unwritable_row": Described(E, "A row has values that cannot be text.", "Write them as text.", Fix.DROP),
    "duplicate_column": Described(W, "Two columns have the same name.", "Rename one."),
    "formula_cell": Described(E, "A cell is a formula, so its value may be missing.", "Save the values.", Fix.DROP),
    "error_cell": Described(E, "A cell holds an error such as #REF!.", "Mend the cell.", Fix.DROP),
    "other_sheets": Described(HINT, "The workbook has several sheets; one was read.", "Attach the right one alone."),
    "other_splits": Described(HINT, "The folder has several splits; one was read.", "Name the split that you mean."),
    "macros_ignored": Described(
        HINT, "The workbook has macros, which are ignored.", "Nothing, if the cells are right."
    ),
    "mixed_encoding": Described(W, "The file mixes encodings.", "Save it as UTF-8."),
    "legacy_encoding": Described(W, "The file is not UTF-8; its encoding was guessed.", "Look at its accents."),
}
_STRUCTURE = {
    "data_type": Described(E, "A value is of the wrong kind.", "Write an object or text there.", Fix.DROP),
    "missing_messages_list": Described(E, "There is no list of messages.", "Add it, or drop the line.", Fix.DROP),
    "message_missing_key": Described(
        E, "A message lacks `role`, `content` or the id of its call.", "Add it.", Fix.DROP
    ),
    "message_unrecognized_key": Described(E, "A message has a key that providers do not know.", "Remove it.", Fix.TRIM),
    "unrecognized_role": Described(E, "A message's role is not known.", "Use a known one.", Fix.DROP),
    "missing_content": Described(E, "A message says nothing.", "Write its text, or drop the line.", Fix.DROP),
    "example_missing_assistant_message": Described(E, "There is no answer to learn.", "Add it.", Fix.DROP),
    "missing_system_message": Described(W, "There is no system message.", "Add the one that you will use, if any."),
    "missing_user_message": Described(W, "There is no user message.", "Add the question."),
    "over_token_limit": Described(
        W, "Longer than the model reads; the end is cut off.", "Shorten it, or choose a model that reads more."
    ),
    "bad_content_part": Described(E, "A part of a message's content is malformed.", "Mend it.", Fix.DROP),
    "bad_weight": Described(E, "A `weight` is not 0 or 1, or on no answer.", "Remove it.", Fix.TRIM),
    "nothing_to_learn": Described(W, "Every answer has weight 0.", "Give one weight 1, or drop it.", Fix.DROP),
    "bad_tool": Described(E, "A tool is declared in a shape that no provider reads.", "Mend it.", Fix.DROP),
    "bad_tool_call": Described(E, "A call lacks its id, type, name or arguments.", "Add them.", Fix.DROP),
    "other_format": Described(E, "The line is in another format than the file.", "Convert or drop it.", Fix.DROP),
    "invalid_tools": Described(E, "`tools` is no list of functions.", "Write it as OpenAI does."),
    "invalid_tool_call": Described(E, "A call of a tool cannot be read.", "Write its name and arguments.", Fix.DROP),
    "invalid_history": Described(E, "`history` is no list of questions with answers.", "Mend it.", Fix.DROP),
    "unknown_speaker": Described(E, "Nobody knows who speaks.", "Write human, gpt or system.", Fix.DROP),
    "empty_turn": Described(E, "A turn says nothing.", "Write it, or drop the line.", Fix.DROP),
    "missing_answer": Described(E, "There is nothing to learn.", "Write the answer, or drop the line.", Fix.DROP),
    "missing_prompt": Described(E, "There is no question.", "Write it, or drop the line.", Fix.DROP),
    "missing_rejected": Described(E, "There is no unwanted answer.", "Write it, or drop the line.", Fix.DROP),
    "guessed_columns": Described(W, "Which column is what was guessed.", "Say which is the question and the answer."),
    "not_expressible": Described(W, "The other format cannot say all of it.", "Choose a format that can."),
    "missing_label": Described(E, "The label is neither true nor false.", "Write it, or drop the line.", Fix.DROP),
    "missing_reference": Described(E, "There is nothing for a grader to read.", "Add it, or drop the line.", Fix.DROP),
    "unexpected_answer": Described(E, "An answer where the model should answer.", "End with the user.", Fix.DROP),
}
_CONTENT = {
    "empty_answer": Described(E, "An answer is nothing but spaces.", "Write it, or drop the line.", Fix.DROP),
    "turn_order": Described(W, "One speaker speaks twice in a row.", "Join the two messages.", Fix.JOIN),
    "system_not_first": Described(W, "A system message follows others.", "Move it to the front.", Fix.REORDER),
    "ends_without_answer": Described(W, "The conversation goes on after the last answer.", "Cut it off.", Fix.TRIM),
    "rejected_equals_chosen": Described(E, "Both answers are the same.", "Change one, or drop the line.", Fix.DROP),
    "mojibake": Described(W, "Letters are garbled by a wrong encoding.", "Turn them back.", Fix.RE_ENCODE),
    "lost_character": Described(W, "A character was lost: � stands for it.", "Write it again.", Fix.DROP),
    "tool_arguments_not_json": Described(E, "A call's arguments are no JSON object.", "Mend them.", Fix.DROP),
    "tool_not_declared": Described(E, "A tool is called that is not declared.", "Declare it.", Fix.DROP),
    "tool_result_without_call": Described(E, "A result that no call asked for.", "Add the call.", Fix.DROP),
    "tool_call_without_result": Described(W, "A call whose result never comes.", "Add the result.", Fix.DROP),
    "secret": Described(W, "A key, token or password.", "Revoke it, and redact it here.", Fix.REDACT),
    "personal_data": Described(W, "A person's address, number or account.", "Redact it.", Fix.REDACT),
}
_WHOLE = {
    "cut_off_answer": Described(W, "An answer breaks off while nearly all end.", "Finish or drop it.", Fix.DROP),
    "wrong_language": Described(W, "An answer is in another language than nearly all.", "Translate it.", Fix.DROP),
    "not_json": Described(W, "An answer is no JSON while nearly all are.", "Mend or drop it.", Fix.DROP),
    "label_imbalance": Described(W, "One label is nearly always the answer.", "Add examples of the others."),
    "label_spellings": Described(W, "One label is spelt in several ways.", "Decide for one."),
    "same_question": Described(W, "Every example asks the same.", "Put what differs into the question."),
    "one_speaker": Described(W, "One user speaks in every example.", "Add others' questions."),
    "one_label_only": Described(E, "KTO needs wanted and unwanted answers.", "Add the other kind."),
    "reference_missing": Described(
        E, "A reference is missing that the others have.", "Add it, or drop the line.", Fix.DROP, fixes_here=False
    ),
    "exact_duplicate": Described(W, "The same example again.", "Remove all but one.", Fix.DEDUPE, fixes_here=False),
    "near_duplicate": Described(W, "Nearly the same example again.", "Remove it.", Fix.DEDUPE, fixes_here=False),
    "contradicting_answers": Described(W, "One question has different answers.", "Keep the right one."),
    "leakage": Described(
        W, "A held-out example is in the training data, too.", "Remove it from one.", Fix.DEDUPE, False
    ),
}
_VENDORS = {
    "too_few_examples": Described(E, "Fewer examples than the provider wants.", "Add more, or train locally."),
    "file_too_large": Described(E, "A larger file than the provider takes.", "Leave out examples."),
    "file_sent_in_parts": Described(HINT, "The file is sent in parts.", "Nothing."),
    "method_not_supported": Described(E, "The provider does not train so.", "Choose another provider."),
    "role_not_supported": Described(E, "The provider does not take this role.", "Rename it.", Fix.DROP, False),
    "too_many_images": Described(E, "More pictures than the provider takes.", "Leave some out.", Fix.DROP, False),
}

CATALOGUE: Mapping[str, Described] = {**_READING, **_STRUCTURE, **_CONTENT, **_WHOLE, **_VENDORS}
"""Every check that any part of the engine makes."""


def fixable() -> frozenset[str]:
    """The checks that `fixes.apply` can mend by their name alone."""
    return frozenset(name for name, one in CATALOGUE.items() if one.fix and one.fixes_here)
