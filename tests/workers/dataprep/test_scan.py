"""The quick way and the exact way must say the same of every line; so must one process and several."""

import json
import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workers.dataprep import analysis, blocks
from workers.dataprep.formats import detect
from workers.dataprep.report import check_file
from workers.dataprep.source import opened

SYSTEM = {"role": "system", "content": "Be brief."}
USER = {"role": "user", "content": "What is the capital of France, and how many people live in it?"}
ANSWER = {"role": "assistant", "content": "Paris. About two million people live there."}

LINES = [
    json.dumps({"messages": [SYSTEM, USER, ANSWER]}),
    json.dumps({"messages": [USER, ANSWER]}),
    json.dumps({"messages": [USER, ANSWER, USER, ANSWER]}),
    json.dumps({"messages": [SYSTEM, SYSTEM, USER, ANSWER]}),
    json.dumps({"messages": [USER, USER, ANSWER]}),
    json.dumps({"messages": [SYSTEM, ANSWER]}),
    json.dumps({"messages": [SYSTEM, USER]}),
    json.dumps({"messages": [USER, ANSWER], "extra": 1}),
    json.dumps({"messages": []}),
    json.dumps({"messages": [{**USER, "name": "ann"}, ANSWER]}),
    json.dumps({"messages": [{**USER, "content": "  "}, ANSWER]}),
    json.dumps({"messages": [{**USER, "content": ""}, ANSWER]}),
    json.dumps({"messages": [USER, {**ANSWER, "weight": 1}]}),
    json.dumps({"messages": [USER, {**ANSWER, "content": None}]}),
    json.dumps({"messages": [USER, {**ANSWER, "content": 'He said "yes" and \\ "no".'}]}),
    json.dumps({"messages": [USER, {**ANSWER, "content": "ends with a backslash \\"}]}),
    json.dumps({"messages": [USER, {**ANSWER, "content": "a NUL \x00 inside"}]}),
    json.dumps({"messages": [{**USER, "role": "User"}, ANSWER]}),
    json.dumps({"messages": [USER, {**ANSWER, "content": "naïve café, 漢字, 👩‍🚀"}]}, ensure_ascii=False),
    json.dumps({"messages": [USER, {**ANSWER, "content": "naïve café, 漢字, 👩‍🚀"}]}),
    json.dumps({"messages": [USER, {**ANSWER, "content": "It’s cafÃ© and â€œquotedâ€\x9d"}]}, ensure_ascii=False),
    json.dumps({"messages": [USER, {**ANSWER, "content": "write to jane.doe@mail-server.org or 4111 1111 1111 1111"}]}),
    '{"messages": [{"role": "user", "role": "system", "content": "x"}, {"role": "assistant", "content": "y"}]}',
    '{"messages": [{"role": "user", "r\\u006fle": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}',
    '{"messages": [{"role" : "user", "role":"user", "content": "x"}, {"role": "assistant", "content": "\\""}]}',
    '{"messages": [], "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}',
    '{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "\\ud800"}]}',
    '{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": NaN}]}',
    '{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "cut',
    '  {"messages":[{"content":"order","role":"user"},{"content":"of keys","role":"assistant"}]}\t\r',
    "[1, 2]",
    "not JSON",
    "",
]  # fmt: skip


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.sampled_from(LINES), min_size=1, max_size=25), st.booleans(), st.sampled_from([16, 4096]))
def test_the_quick_way_says_what_the_exact_way_says(tmp_path_factory, both, lines, ended, context):
    path = tmp_path_factory.mktemp("scan") / "data.jsonl"
    whole = [LINES[0], *lines]
    path.write_text("\n".join(whole) + ("\n" if ended else ""), encoding="utf-8")
    both(path, context=context)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.fixed_dictionaries({"prompt": st.text(max_size=30), "completion": st.text(max_size=30)}), max_size=8)
)
def test_so_it_does_of_prompts_and_completions(tmp_path_factory, both, records):
    path = tmp_path_factory.mktemp("pairs") / "data.jsonl"
    whole = [{"prompt": "Say hello.", "completion": "Hello."}, *records]
    path.write_text("".join(json.dumps(one) + "\n" for one in whole))
    both(path)


def test_so_it_does_of_more_lines_than_are_listed(tmp_path, both):
    path = tmp_path / "data.jsonl"
    call = {"id": "1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    with path.open("w") as file:
        for number in range(900):
            answer = {"role": "assistant", "content": '{"a": 1}' if number % 4 else f"It is {number}, and that is why"}
            more = [{"weight": 1}, {"tool_calls": [call]}, {}][number * 7 % 13 % 3]
            file.write(json.dumps({"messages": [USER, {**answer, **more}]}) + "\n")
    both(path, context=30)


def many(path, examples=3000):
    draw = random.Random(2)
    with path.open("w", encoding="utf-8") as file:
        for _ in range(examples):
            if draw.random() < 0.2:
                file.write(draw.choice(LINES) + "\n")
                continue
            words = " ".join(draw.choices(["lemon", "salt", "sugar", "Öl", "the", "of", "and", "is"], k=60))
            answer = {"role": "assistant", "content": words[: draw.randint(5, 300)] + "."}
            file.write(json.dumps({"messages": [SYSTEM, {**USER, "content": words}, answer]}) + "\n")


def test_several_processes_say_what_one_says(tmp_path, comparable, monkeypatch):
    path = tmp_path / "data.jsonl"
    many(path)
    monkeypatch.setattr(analysis, "LEAST_BYTES_FOR_PROCESSES", 0)
    monkeypatch.setattr(analysis, "blocks", lambda path, offset: blocks.blocks(path, offset, 50_000))
    one = comparable(path, processes=1)
    assert comparable(path, processes=3) == one
    assert one["examples"] > 2500
    assert one["counts"]["invalid_json"] > 5


def test_progress_ends_with_the_whole_file(tmp_path, monkeypatch):
    path = tmp_path / "data.jsonl"
    many(path)
    monkeypatch.setattr(analysis, "blocks", lambda path, offset: blocks.blocks(path, offset, 50_000))
    seen = []
    found = check_file(path, progress=seen.append)
    assert len(seen) > 5
    assert seen[-1].bytes_done == seen[-1].bytes_total == path.stat().st_size
    assert seen[-1].examples == found.examples
    assert [one.bytes_done for one in seen] == sorted(one.bytes_done for one in seen)


def test_findings_are_capped_and_counted_exactly(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text((json.dumps({"messages": [USER, ANSWER]}) + "\n") * 250 + "oops\n" * 130)
    found = check_file(path)
    assert found.counts["missing_system_message"] == 250
    assert found.counts["exact_duplicate"] == 249
    assert found.counts["invalid_json"] == 130
    listed = [one for one in found.findings if one.check == "invalid_json"]
    assert [one.line for one in listed] == list(range(251, 351))
    assert found.errors == 130


def left_out(path, wanted):
    with opened(path) as source:
        return analysis.lines_to_leave_out(source, detect(source), wanted)


def test_every_repeated_line_is_left_out_not_only_the_listed_ones(tmp_path):
    path = tmp_path / "data.jsonl"
    others = [
        json.dumps({"messages": [SYSTEM, {**USER, "content": f"Question {number}?"}, ANSWER]}) for number in range(5)
    ]
    path.write_text("\n".join([others[0]] * 300 + others + [others[3]]))
    assert left_out(path, {"exact_duplicate"}) == dict.fromkeys([*range(2, 302), 306], "exact_duplicate")
    assert left_out(path, set()) == {}


def test_every_example_without_the_usual_reference_is_left_out(tmp_path):
    path = tmp_path / "data.jsonl"
    records = [{"messages": [USER], "target": number, "numbers": [1]} for number in range(300)]
    for number in range(0, 300, 2)[:140]:
        del records[number]["target"]
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    found = check_file(path)
    assert found.counts["reference_missing"] == 140
    assert sorted(left_out(path, {"reference_missing"})) == list(range(1, 281, 2))
