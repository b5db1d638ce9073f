"""What examples can be written as: one target a shape that a provider or trainer reads, with what it can express.

What a target cannot express is told, never dropped in silence: `Losses` collects it, `CannotExpress` leaves the
example out. The capabilities are data; the writers only put into shape what `fitting` has let through.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workers.dataprep.example import Example, Message
from workers.dataprep.formats.alpaca import Alpaca
from workers.dataprep.formats.base import message_records
from workers.dataprep.formats.chat import SETTINGS, OpenAIChat, Reinforcement
from workers.dataprep.formats.pairs import PromptCompletion
from workers.dataprep.formats.plain import PlainText
from workers.dataprep.formats.preference import OpenAIPreference
from workers.dataprep.formats.sharegpt import ShareGPT

Records = list[dict[str, Any]]

CHAT_ROLES = frozenset({"system", "user", "assistant"})
TOOL_ROLES = CHAT_ROLES | {"tool"}
ALL_ROLES = TOOL_ROLES | {"developer", "function"}
OPENAI_KEYS = frozenset({"name", "tool_calls", "function_call", "tool_call_id", "refusal", "audio"})
TRL_KEYS = frozenset({"name", "tool_calls", "tool_call_id"})


@dataclass(frozen=True)
class Target:
    """A shape to write, and what has a place in it."""

    id: str
    words: str
    records: Callable[[Example], Records]
    """The records of an example of which only what fits is left."""
    layout: str = "jsonl"
    methods: frozenset[str] = frozenset({"sft"})
    roles: frozenset[str] = CHAT_ROLES
    message_keys: frozenset[str] = frozenset()
    """Keys of a message beside role and content."""
    settings: frozenset[str] = frozenset()
    """Keys of a record beside its messages and tools."""
    parts: bool = False
    """Whether content may have parts, and so pictures."""
    tools: bool = False
    arguments: str = "text"
    """How a call's arguments are written: as JSON `text`, or as an `object`."""
    single: bool = False
    """Whether there is one prompt and one answer, and nothing before."""
    rounds: bool = False
    """Whether there is one answer, and before it only rounds of question and answer."""
    plain: bool = False
    """Whether plain text can be written, which has no prompt."""
    system: bool = True
    """Whether a system message has a place."""
    mixed: bool = True
    """Whether plain text and conversations may stand in one file."""
    talk: bool = True
    """Whether a whole conversation is written, so that what is learnt need not stand last."""


KINDS: Mapping[str, str] = {
    "chat": "a conversation",
    "text": "plain text",
    "dpo": "a pair of answers",
    "kto": "a labelled answer",
    "rft": "a prompt with reference fields",
}


def kind(example: Example) -> str:
    """What an example is. Examples of two kinds never stand in one file."""
    if example.label is not None:
        return "kto"
    if example.rejected:
        return "dpo"
    if not example.turns and example.reference:
        return "rft"
    return "text" if is_plain_text(example) else "chat"


def is_plain_text(example: Example) -> bool:
    """Whether it is text without a prompt."""
    return len(example.messages) == 1 and example.messages[0].role == "assistant" and example.turns == 1


def _openai_chat(example: Example) -> Records:
    return [(Reinforcement() if kind(example) == "rft" else OpenAIChat()).to_record(example)]


def _messages(example: Example) -> Records:
    tools = {"tools": example.tools} if example.tools else {}
    return [{"messages": message_records(example.messages), **tools}]


def _azure_text(example: Example) -> Records:
    return [{"text": example.prompt[0].text, "ground_truth": example.answer}]


def _trl_preference(example: Example) -> Records:
    tools = {"tools": example.tools} if example.tools else {}
    sides = {"prompt": example.prompt, "chosen": example.answers, "rejected": example.rejected}
    return [{**{key: message_records(some) for key, some in sides.items()}, **tools}]


def _autotrain(example: Example) -> Records:
    if example.rejected:
        whole = message_records(example.prompt)
        answers = message_records(example.answers), message_records(example.rejected)
        return [{"prompt": whole, "text": [*whole, *answers[0]], "rejected_text": [*whole, *answers[1]]}]
    return [{"text": example.answer if is_plain_text(example) else message_records(example.messages)}]


def _kto(example: Example) -> Records:
    pairs = [(example.answers, True), (example.rejected, False)]
    if example.label is not None:
        pairs = [(example.answers, example.label)]
    return [{**PromptCompletion().to_record(_with_answer(example, answer)), "label": label} for answer, label in pairs]


def _with_answer(example: Example, answer: Sequence[Message]) -> Example:
    return Example((*example.prompt, *answer), turns=len(answer), tools=example.tools)


_TARGETS = (
    Target(
        "openai-chat",
        "OpenAI and Azure OpenAI, conversations (also prompts with references, for reinforcement)",
        _openai_chat,
        methods=frozenset({"sft", "rft"}),
        roles=ALL_ROLES,
        message_keys=OPENAI_KEYS | {"weight"},
        settings=SETTINGS,
        parts=True,
        tools=True,
        plain=True,
    ),
    Target(
        "openai-preference",
        "OpenAI and Azure OpenAI, pairs of answers",
        lambda example: [OpenAIPreference().to_record(example)],
        methods=frozenset({"dpo"}),
        roles=ALL_ROLES,
        message_keys=OPENAI_KEYS,
        settings=frozenset({"parallel_tool_calls"}),
        parts=True,
        tools=True,
        talk=False,
    ),
    Target(
        "prompt-completion",
        "one prompt and one completion a line",
        lambda example: [PromptCompletion().to_record(example)],
        single=True,
        plain=True,
        system=False,
        talk=False,
    ),
    Target("azure-ml-chat", "Azure Machine Learning, chat completion", _messages, plain=True),
    Target(
        "azure-ml-text",
        "Azure Machine Learning, text generation (`text`, `ground_truth`)",
        _azure_text,
        single=True,
        system=False,
        talk=False,
    ),
    Target(
        "trl-chat",
        "TRL, conversations",
        _messages,
        roles=TOOL_ROLES,
        message_keys=TRL_KEYS,
        tools=True,
        arguments="object",
        plain=True,
    ),
    Target(
        "trl-preference",
        "TRL, pairs of answers",
        _trl_preference,
        methods=frozenset({"dpo"}),
        roles=TOOL_ROLES,
        message_keys=TRL_KEYS,
        tools=True,
        arguments="object",
        talk=False,
    ),
    Target(
        "autotrain-csv",
        "AutoTrain, a table (`text` column; messages as JSON, so choose a chat template)",
        _autotrain,
        layout="csv",
        methods=frozenset({"sft", "dpo"}),
        plain=True,
        mixed=False,
    ),
    Target(
        "autotrain-jsonl",
        "AutoTrain, one example a line (`text`; messages, so choose a chat template)",
        _autotrain,
        methods=frozenset({"sft", "dpo"}),
        plain=True,
        mixed=False,
    ),
    Target(
        "alpaca",
        "instruction, input and output",
        lambda example: [Alpaca().to_record(example)],
        rounds=True,
        plain=True,
        talk=False,
    ),
    Target(
        "sharegpt",
        "conversations with `from` and `value`",
        lambda example: [ShareGPT().to_record(example)],
        roles=TOOL_ROLES,
        message_keys=frozenset({"weight", "tool_calls", "tool_call_id"}),
        tools=True,
        plain=True,
    ),
    Target(
        "kto",
        "answers labelled true or false",
        _kto,
        methods=frozenset({"kto", "dpo"}),
        roles=TOOL_ROLES,
        message_keys=TRL_KEYS,
        tools=True,
        arguments="object",
        talk=False,
    ),
    Target(
        "text",
        "plain text",
        lambda example: [PlainText().to_record(example)],
        plain=True,
        single=True,
        system=False,
    ),
)
TARGETS: Mapping[str, Target] = {target.id: target for target in _TARGETS}
"""Every target, by its id."""
