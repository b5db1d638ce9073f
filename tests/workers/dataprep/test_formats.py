import gzip
import json
import pickle
from dataclasses import replace

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workers.dataprep.checks import Severity
from workers.dataprep.example import Example, Message
from workers.dataprep.formats import FORMATS, ColumnMapping, Table, UnreadableDataset, detect, lines
from workers.dataprep.formats.cells import Cells
from workers.dataprep.formats.plain import PlainText
from workers.dataprep.json_values import strict
from workers.dataprep.source import opened
from workers.errors import UserError


class Read:
    """A file as its format reads it."""

    def __init__(self, path, mapping=None):
        with opened(path) as source:
            self.detected = detect(source, mapping)
            self.format = self.detected.format
            self.records = [(number, strict(line).value) for number, line in lines(source) if line.strip()]
        self.examples = [self.format.to_example(record, number) for number, record in self.records]
        self.founds = [
            (number, found.check, found.severity)
            for number, record in self.records
            for found in self.format.problems(record)
        ]

    @property
    def kind(self):
        return self.format.id, self.format.method

    @property
    def checks(self):
        return [check for _, check, _ in self.founds]

    @property
    def errors(self):
        return [check for _, check, severity in self.founds if severity is Severity.ERROR]


@pytest.fixture
def read(put):
    """A file of these records (or this text), read."""

    def reading(content, name="file.jsonl", mapping=None):
        return Read(put(content, name), mapping)

    return reading


def told(example):
    return [(one.role, one.content) for one in example.messages]


# ── real files ────────────────────────────────────────────────────────────────────────────────────────────────────────

REAL = {
    "cookbook_toy_chat.jsonl": ("openai-chat", "sft", 5),
    "cookbook_recipe_training.jsonl": ("openai-chat", "sft", 101),
    "cookbook_recipe_validation.jsonl": ("openai-chat", "sft", 100),
    "cookbook_drone_tools.jsonl": ("openai-chat", "sft", 103),
    "cookbook_ag_news.csv": ("table", "sft", 2000),
    "azure_tutorial_training_set.jsonl": ("openai-chat", "sft", 10),
    "foundry_gsm8k_train.jsonl": ("openai-chat", "sft", 449),
    "foundry_gsm8k_validation.jsonl": ("openai-chat", "sft", 50),
    "foundry_stock_toolcall.jsonl": ("openai-chat", "sft", 86),
    "foundry_chartqa_vision.jsonl": ("openai-chat", "sft", 100),
    "foundry_orca_dpo_validation.jsonl": ("openai-preference", "dpo", 284),
    "foundry_rft_countdown.jsonl": ("rft", "rft", 100),
    "azureml_prompt_completion.jsonl": ("prompt-completion", "sft", 408),
    "llamafactory_alpaca_en.json": ("alpaca", "sft", 999),
    "llamafactory_kto_en.json": ("kto", "kto", 300),
    "llamafactory_glaive_toolcall_en.json": ("sharegpt", "sft", 300),
    "fastchat_sharegpt.json": ("sharegpt", "sft", 500),
    "axolotl_missing_turns.json": ("sharegpt", "sft", 1),
    "datajuicer_demo.parquet": ("text", "sft", 6),
    "datajuicer_demo.tsv": ("text", "sft", 6),
}


@pytest.mark.parametrize(("name", "expected"), REAL.items(), ids=list(REAL))
def test_real_files(data, examples, name, expected):
    path = data / name
    file = Read(path if path.exists() else examples / name)
    assert (*file.kind, len(file.examples)) == expected
    assert None not in file.examples
    assert file.errors == (["empty_turn"] if name == "axolotl_missing_turns.json" else [])
    again = [
        file.format.to_example(orjson.loads(orjson.dumps(file.format.to_record(one))), one.line)
        for one in file.examples
    ]
    assert again == file.examples


def test_what_is_in_real_files(data):
    stock = Read(data / "foundry_stock_toolcall.jsonl").examples[0]
    assert [one["function"]["name"] for one in stock.tools][:2] == [
        "get_current_stock_price",
        "get_last_nday_stock_price",
    ]
    assert stock.messages[-1].content is None
    assert stock.messages[-1].extra["tool_calls"][0]["function"]["name"] == "get_last_nday_stock_price"

    countdown = Read(data / "foundry_rft_countdown.jsonl").examples[0]
    assert set(countdown.reference) == {"target", "nums"}
    assert (countdown.turns, countdown.answer, countdown.answers) == (0, "", ())

    glaive = Read(data / "llamafactory_glaive_toolcall_en.json").examples[0]
    assert [one.role for one in glaive.messages][3:6] == ["assistant", "tool", "assistant"]
    (call,) = glaive.messages[3].extra["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"ingredients": ["chicken", "bell peppers", "rice"]}
    assert glaive.messages[4].extra == {"tool_call_id": call["id"]}
    assert all(one["type"] == "function" for one in glaive.tools)

    orca = Read(data / "foundry_orca_dpo_validation.jsonl").examples[0]
    assert [one.role for one in orca.prompt] == ["system", "user"]
    assert orca.answer != orca.rejected[0].text

    news = Read(data / "cookbook_ag_news.csv")
    assert news.detected.columns == ColumnMapping("description", "label")
    assert news.detected.guessed
    assert news.examples[0].answer == "World"
    assert news.examples[0].line == 2


# ── one record of each spelling ───────────────────────────────────────────────────────────────────────────────────────

QA = [("user", "Q"), ("assistant", "A")]
QIA = [("user", "Q\nI"), ("assistant", "A")]
SQA = [("system", "S"), *QA]
ASK, SAY = {"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}
BAD, BRIEF = {"role": "assistant", "content": "B"}, {"from": "system", "value": "S"}
HUMAN, GPT = {"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}

SPELLINGS = [
    ("openai-chat", {"messages": [ASK, SAY]}, QA),
    ("openai-chat", {"messages": [{"role": "developer", "content": "S"}, ASK, SAY]}, [("developer", "S"), *QA]),
    ("openai-chat", {"text": [ASK, SAY]}, QA),
    ("prompt-completion", {"prompt": "Q", "completion": "A"}, QA),
    ("prompt-completion", {"prompt": [ASK], "completion": [SAY]}, QA),
    ("prompt-completion", {"prompt": "Q", "completion": "A", "system": "S"}, SQA),
    ("prompt-completion", {"prompt": "Q", "completion": 42}, [("user", "Q"), ("assistant", "42")]),
    ("prompt-completion", {"prompt": "", "completion": "A"}, [("assistant", "A")]),
    ("alpaca", {"instruction": "Q", "input": "", "output": "A"}, QA),
    ("alpaca", {"instruction": "Q", "input": "I", "output": "A", "system": "S"}, [("system", "S"), *QIA]),
    ("alpaca", {"instruction": "Q", "context": "I", "response": "A"}, QIA),
    ("alpaca", {"instruction": "Q", "output": "A", "history": [["Q", "A"]]}, [*QA, *QA]),
    ("sharegpt", {"conversations": [HUMAN, GPT]}, QA),
    ("sharegpt", {"conversation": [HUMAN, GPT], "system": "S"}, SQA),
    ("sharegpt", {"conversations": [BRIEF, {"from": "user", "value": "Q"}, {"from": "ChatGPT", "value": "A"}]}, SQA),
    ("sharegpt", {"conversations": [ASK, SAY]}, QA),
    ("text", {"text": "A"}, [("assistant", "A")]),
    ("text", {"text": "A", "meta": {"source": "x"}, "url": "http://x"}, [("assistant", "A")]),
    ("kto", {"prompt": "Q", "completion": "A", "label": True}, QA),
    ("kto", {"messages": [ASK, SAY], "label": False}, QA),
    ("kto", {"conversations": [HUMAN, GPT], "kto_tag": True}, QA),
    ("kto", {"instruction": "Q", "input": "", "output": "A", "kto_tag": "false"}, QA),
    ("rft", {"messages": [ASK], "target": 24}, [("user", "Q")]),
    ("preference", {"prompt": "Q", "chosen": "A", "rejected": "B"}, QA),
    ("preference", {"prompt": [ASK], "chosen": [SAY], "rejected": [BAD]}, QA),
    ("preference", {"prompt": "Q", "chosen": [ASK, SAY], "rejected": [ASK, BAD]}, QA),
    ("preference", {"chosen": [ASK, SAY], "rejected": [ASK, BAD]}, QA),
    ("preference", {"conversations": [HUMAN], "chosen": GPT, "rejected": {"from": "gpt", "value": "B"}}, QA),
    ("preference", {"instruction": "Q", "input": "", "chosen": "A", "rejected": "B"}, QA),
    ("preference", {"prompt": "Q", "text": "A", "rejected_text": "B"}, QA),
    ("preference", {"system": "S", "question": "Q", "chosen": "A", "rejected": "B"}, SQA),
    ("preference", {"chosen": "\n\nHuman: Q\n\nAssistant: A", "rejected": "\n\nHuman: Q\n\nAssistant: B"}, QA),
    ("preference", {"chosen": "Q: A", "rejected": "Q: B"}, [("user", "Q: "), ("assistant", "A")]),
    ("openai-preference", {"input": {"messages": [ASK]}, "preferred_output": [SAY], "non_preferred_output": [BAD]}, QA),
    ("table", {"question": "Q", "answer": "A"}, QA),
    ("table", {"Query": "Q", "Response": "A"}, QA),
    ("table", {"text": "Q", "label": "A"}, QA),
    ("table", {"Frage": "Q", "Antwort": "A"}, QA),
    ("table", {"text": "Q", "ground_truth": "A"}, QA),
]  # fmt: skip


@pytest.mark.parametrize(("format_id", "record", "expected"), SPELLINGS)
def test_spellings(read, format_id, record, expected):
    file = read([record])
    (example,) = file.examples
    assert file.format.id == format_id
    assert told(example) == expected
    assert file.errors == []
    assert file.detected.guessed is False
    assert example.turns == (0 if format_id == "rft" else 1)
    if format_id == "kto":
        assert example.label is (record.get("label", record.get("kto_tag")) is True)
    if "preference" in format_id:
        assert [one.text for one in example.rejected] == ["B"]
    written = file.format.to_record(example)
    assert file.format.to_example(written, 1) == example
    if "history" not in record and "Human" not in str(record) and record != {"chosen": "Q: A", "rejected": "Q: B"}:
        assert read([written]).format.id == format_id


@pytest.mark.parametrize(("format_id", "record", "expected"), SPELLINGS)
@pytest.mark.parametrize("layout", ["json", "object", "csv", "gz"])
def test_the_same_from_arrays_single_objects_tables_and_packed_files(put, format_id, record, expected, layout):
    if layout == "json":
        path = put(json.dumps([record, record], indent=1), "file.json")
    elif layout == "object":
        path = put(json.dumps(record, indent=1), "file.json")
    elif layout == "gz":
        path = put(gzip.compress(json.dumps(record).encode() + b"\n"), "file.jsonl.gz")
    else:
        if "meta" in record:
            record = {**record, "meta": str(record["meta"])}
        cells = [value if isinstance(value, str) else json.dumps(value) for value in record.values()]
        quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in (list(record), cells)]
        path = put("\n".join(quoted) + "\n", "file.csv")
    file = Read(path)
    if layout == "csv" and record in ({"text": "A"}, {"prompt": "", "completion": "A"}):
        return  # one cell is text as well as a table; an empty cell may be left out by the reader
    assert file.format.id == format_id
    assert told(file.examples[0]) == expected
    assert file.errors == []


def test_parts_tools_functions_weights_and_settings_are_kept(read):
    parts = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "https://x/y.png"}}]
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    record = {
        "messages": [
            {"role": "user", "content": parts, "name": "anna"},
            {"role": "assistant", "content": None, "tool_calls": [call], "weight": 0},
            {"role": "tool", "content": "3", "tool_call_id": "1"},
            {"role": "assistant", "content": "A"},
        ],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "parallel_tool_calls": False,
    }
    file = read([record])
    (example,) = file.examples
    assert file.kind == ("openai-chat", "sft")
    assert example.messages[0].content == parts
    assert example.messages[1].content is None
    assert example.messages[1].extra == {"tool_calls": [call], "weight": 0}
    assert (example.tools, example.extra) == (record["tools"], {"parallel_tool_calls": False})
    old = read([{"messages": [ASK, SAY], "functions": [{"name": "f"}]}]).examples[0]
    assert old.tools == [{"type": "function", "function": {"name": "f"}}]


def test_the_answer_is_what_the_assistant_says_last(read):
    chat = read([{"messages": [ASK, SAY, ASK]}, {"messages": [ASK, SAY]}]).examples
    assert [one.turns for one in chat] == [0, 1]
    pairs = read([{"prompt": [ASK], "completion": [SAY, ASK, SAY]}]).examples
    assert pairs[0].turns == 3


def test_several_calls_in_one_turn_get_their_results_in_order(read):
    calls = json.dumps([{"name": "f", "arguments": {"a": 1}}, {"name": "g", "arguments": "{}"}])
    turns = [
        HUMAN,
        {"from": "function_call", "value": calls},
        {"from": "observation", "value": "1"},
        {"from": "observation", "value": "2"},
        GPT,
    ]
    (example,) = read([{"conversations": turns, "tools": json.dumps([{"name": "f"}, {"name": "g"}])}]).examples
    assert [one["id"] for one in example.messages[1].extra["tool_calls"]] == ["call_1", "call_2"]
    assert [one.extra["tool_call_id"] for one in example.messages[2:4]] == ["call_1", "call_2"]
    assert len(example.tools) == 2


# ── what is wrong ─────────────────────────────────────────────────────────────────────────────────────────────────────

BROKEN = [
    ({"prompt": "Q", "completion": ""}, {"prompt": "Q", "completion": "A"}, ["missing_answer"]),
    ({"completion": "A"}, {"prompt": "Q", "completion": "A"}, ["missing_prompt"]),
    ({"instruction": "", "output": "A"}, {"instruction": "Q", "output": "A"}, ["missing_prompt"]),
    ({"instruction": "Q"}, {"instruction": "Q", "output": "A"}, ["missing_answer"]),
    ({"instruction": "Q", "output": "A", "history": ["x"]}, {"instruction": "Q", "output": "A"}, ["invalid_history"]),
    ({"conversations": []}, {"conversations": [HUMAN, GPT]}, ["missing_messages_list"]),
    ({"conversations": [HUMAN]}, {"conversations": [HUMAN, GPT]}, ["missing_answer"]),
    ({"conversations": [HUMAN, {"from": "gpt", "value": ""}]}, {"conversations": [HUMAN, GPT]}, ["empty_turn"]),
    ({"conversations": [{"from": "elf", "value": "x"}, GPT]}, {"conversations": [HUMAN, GPT]}, ["unknown_speaker"]),
    (
        {"conversations": [HUMAN, {"from": "function_call", "value": "f(1)"}]},
        {"conversations": [HUMAN, GPT]},
        ["invalid_tool_call"],
    ),
    ({"conversations": [HUMAN, GPT], "tools": "f, g"}, {"conversations": [HUMAN, GPT]}, ["invalid_tools"]),
    ({"prompt": "Q", "chosen": "A"}, {"prompt": "Q", "chosen": "A", "rejected": "B"}, ["missing_rejected"]),
    ({"prompt": "Q", "rejected": "A"}, {"prompt": "Q", "chosen": "A", "rejected": "B"}, ["missing_answer"]),
    ({"chosen": "x", "rejected": "y"}, {"prompt": "Q", "chosen": "A", "rejected": "B"}, ["missing_prompt"]),
    (
        {"input": {}, "preferred_output": [SAY], "non_preferred_output": []},
        {"input": {"messages": [ASK]}, "preferred_output": [SAY], "non_preferred_output": [SAY]},
        ["missing_messages_list", "missing_rejected"],
    ),
    (
        {"prompt": "Q", "completion": "A", "label": None},
        {"prompt": "Q", "completion": "A", "label": True},
        ["missing_label"],
    ),
    (
        {"prompt": "Q", "completion": "A", "label": "perhaps"},
        {"prompt": "Q", "completion": "A", "label": True},
        ["missing_label"],
    ),
    ({"messages": [ASK]}, {"messages": [ASK], "target": 1}, ["missing_reference"]),
    ({"messages": [ASK, SAY], "target": 1}, {"messages": [ASK], "target": 1}, ["unexpected_answer"]),
    ({"text": ""}, {"text": "A"}, ["missing_answer"]),
    ({"question": "Q", "answer": None}, {"question": "Q", "answer": "A"}, ["missing_answer"]),
    ({"question": "", "answer": "A"}, {"question": "Q", "answer": "A"}, ["missing_prompt"]),
    ({"foo": 1}, {"prompt": "Q", "completion": "A"}, ["other_format"]),
    ([1], {"prompt": "Q", "completion": "A"}, ["data_type"]),
    ({"messages": "hello"}, {"messages": [ASK, SAY]}, ["missing_messages_list"]),
]


@pytest.mark.parametrize(("record", "good", "expected"), BROKEN)
def test_problems(read, record, good, expected):
    file = read([good, good, record])
    assert [(number, check) for number, check, severity in file.founds if severity is Severity.ERROR] == [
        (3, check) for check in expected
    ]
    for found in file.format.problems(record):
        assert found.words[0].isupper() or found.words[0] == "`"
        assert found.words.endswith(".")


def test_a_place_is_named_by_its_turn(read):
    file = read([{"conversations": [HUMAN, GPT, {"from": "human", "value": ""}, GPT]}])
    (found,) = file.format.problems(file.records[0][1])
    assert (found.check, found.message) == ("empty_turn", 3)


# ── which format ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_majority_decides(read):
    chat, pair = {"messages": [ASK, SAY]}, {"prompt": "Q", "completion": "A"}
    file = read([pair, chat, chat, "broken", 7])
    assert file.kind == ("openai-chat", "sft")
    assert file.errors == ["other_format", "data_type", "data_type"]
    assert [one is None for one in file.examples] == [True, False, False, True, True]


def test_a_name_says_nothing(read):
    assert read('[{"prompt": "Q", "completion": "A"}]', "conversations.csv").format.id == "prompt-completion"


def test_labels_of_classes_are_no_kto(read):
    file = read([{"messages": [ASK, SAY], "label": "sports"}, {"messages": [ASK, SAY], "label": "World"}])
    assert file.kind == ("openai-chat", "sft")
    pairs = read([{"prompt": "Q", "completion": "A", "label": "sports"}])
    assert pairs.format.id == "prompt-completion"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"messages": \n', "None of its first records can be read"),
        ("[1, 2, 3]", "It is JSON, but not a list of training examples"),
        ('{"a": {}, "b": []}\n', "Its records have a, b, which is no known format"),
        ("[]", "empty"),
    ],
)
def test_what_is_no_dataset(read, content, words):
    with pytest.raises(UnreadableDataset, match=words) as raised:
        read(content)
    assert "Attach" in raised.value.user_message


# ── tables ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def table(header, row):
    return header + "\n" + "".join(row(n) + "\n" for n in range(9))


GUESSES = [
    (table("id,Titel,Text", lambda n: f"{n},kurz {n},ein langer Text {n} mit vielen Worten"), ("Text", "Titel"), True),
    (table("a,b", lambda n: f"what is {n}?,It is {n}."), ("a", "b"), True),
    (table("b,a", lambda n: f"It is {n}.,what is {n}?"), ("a", "b"), True),
    (table("body,team", lambda n: f"printer {n} is on fire,{'AB'[n % 2]}"), ("body", "team"), True),
    (table("when,says,class", lambda n: f"2024-01-0{n},some text {n},{'AB'[n % 2]}"), ("says", "class"), True),
    (table("question,answer", lambda n: f"q {n},{n}"), ("question", "answer"), False),
    (table("id,question,answer,source", lambda n: f"{n},q {n},a {n},wiki"), ("question", "answer"), False),
    (table("question,answer,label", lambda n: f"q {n},a {n},x"), ("question", "answer"), True),
    (table("text,label", lambda n: f"text {n},{n % 2}"), ("text", "label"), False),
]  # fmt: skip


@pytest.mark.parametrize(("content", "expected", "guessed"), GUESSES)
def test_columns_are_guessed(read, content, expected, guessed):
    file = read(content, "table.csv")
    columns = file.detected.columns
    assert (file.format.id, columns.prompt, columns.answer) == ("table", *expected)
    assert file.detected.guessed is guessed
    assert len(file.examples) == 9
    assert file.errors == []


def test_system_texts_have_a_column(read):
    file = read("system_prompt,question,answer\nBe kind.,Q,A\nBe kind.,Q2,A2\n", "table.csv")
    assert file.detected.columns == ColumnMapping("question", "answer", "system_prompt")
    assert told(file.examples[0]) == [("system", "Be kind."), *QA]


def test_a_person_maps_the_columns(read):
    mapping = ColumnMapping("b", "a", "c")
    file = read("a,b,c,d\nA,Q,S,7\n", "table.csv", mapping)
    assert (file.detected.columns, file.detected.guessed) == (mapping, False)
    assert told(file.examples[0]) == SQA
    assert set(file.examples[0].extra) == {"d"}
    labelled = read([{"a": "A", "b": "Q", "ok": 0}], mapping=ColumnMapping("b", "a", label="ok"))
    assert (labelled.kind, labelled.examples[0].label) == (("table", "kto"), False)
    compared = read([{"a": "A", "b": "Q", "c": "B"}], mapping=ColumnMapping("b", "a", rejected="c"))
    assert (compared.kind, compared.examples[0].rejected[0].text) == (("table", "dpo"), "B")
    alone = read([{"a": "A", "b": "Q"}], mapping=ColumnMapping(answer="a"))
    assert told(alone.examples[0]) == [("assistant", "A")]


def test_cells_of_other_kinds_become_text(read):
    records = [
        {"question": 3, "answer": True},
        {"question": 2.5, "answer": 4.0},
        {"question": "x", "answer": {"a": [1]}},
    ]
    file = read(records, mapping=ColumnMapping("question", "answer"))
    assert [told(one) for one in file.examples] == [
        [("user", "3"), ("assistant", "true")],
        [("user", "2.5"), ("assistant", "4")],
        [("user", "x"), ("assistant", '{"a":[1]}')],
    ]


def test_mappings_travel_as_json_and_words():
    mapping = ColumnMapping("q", "a", "s")
    assert mapping.to_json() == {"prompt": "q", "answer": "a", "system": "s"}
    assert ColumnMapping.from_json(mapping.to_json()) == mapping
    assert ColumnMapping.parse(" prompt=q , answer=a,system=s") == mapping
    for text, words in (
        ("question=q,answer=a", "question; there are answer, label, prompt, rejected, system"),
        ("prompt=q", "which column is the answer"),
        ("prompt", "'prompt' is no mapping"),
    ):
        with pytest.raises(UserError, match=words):
            ColumnMapping.parse(text)


def test_a_lone_column_is_text(read):
    file = read([{"body": "one"}, {"body": "two"}])
    assert (file.kind, file.format) == (("text", "sft"), PlainText("body"))


# ── hostile values ────────────────────────────────────────────────────────────────────────────────────────────────────

KEYS = st.sampled_from((
    "messages", "role", "content", "prompt", "completion", "instruction", "input", "output", "history", "system",
    "conversations", "conversation", "from", "value", "tools", "functions", "chosen", "rejected", "text", "label",
    "rejected_text", "kto_tag", "preferred_output", "non_preferred_output", "tool_calls", "function", "type", "name",
    "question", "answer", "x",
))  # fmt: skip
WORDS = st.sampled_from((
    "user", "assistant", "human", "gpt", "function_call", "observation", "system", "tool", "", "x", "true", "[", "{}",
    '[{"role": "user", "content": 3}]',
    '{"name": "f", "arguments": []}', '[{"name": 7}]', "\n\nHuman: a\n\nAssistant: b",
))  # fmt: skip
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from((1.5, -1e300)), WORDS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)
ALL = (
    *FORMATS,
    PlainText(),
    Table(ColumnMapping("question", "answer", "system", "label", "rejected")),
    *(Cells(one) for one in FORMATS),
)


@settings(derandomize=True, deadline=None, max_examples=400, suppress_health_check=list(HealthCheck))
@given(st.one_of(st.dictionaries(KEYS, VALUES, max_size=6), VALUES))
def test_no_value_breaks_a_format(value):
    for one in ALL:
        founds = list(one.problems(value))
        example = one.to_example(value, 3)
        if example is None:
            assert any(found.severity is Severity.ERROR for found in founds), (one, value)
            continue
        assert 0 <= example.turns <= len(example.messages)
        assert example.messages
        assert isinstance(example.answer, str)
        assert all(isinstance(message.text, str) for message in (*example.messages, *example.rejected))
        orjson.dumps(one.to_record(example))
        if isinstance(value, dict) and one.matches(value):
            one.like(value)


def test_formats_travel_to_other_processes():
    for one in ALL:
        assert pickle.loads(pickle.dumps(one)) == one


def test_examples_are_told_apart_by_their_place_only(read):
    first, second = read([{"prompt": "Q", "completion": "A"}] * 2).examples
    assert first == Example((Message("user", "Q"), Message("assistant", "A")), 1)
    assert second == replace(first, line=2)
