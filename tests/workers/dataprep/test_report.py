"""What a person learns of a file: golden figures of real ones, and every finding at its place."""

import json

import pytest

from workers.dataprep.checks import Severity
from workers.dataprep.formats import ColumnMapping
from workers.dataprep.notes import MOST_FINDINGS
from workers.dataprep.report import check_file

SYSTEM = {"role": "system", "content": "Be brief."}
USER = {"role": "user", "content": "What is 2 + 2?"}
ASSISTANT = {"role": "assistant", "content": "4"}
GOOD = {"messages": [SYSTEM, USER, ASSISTANT]}
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}


def places(report, check):
    return [one.line for one in report.findings if one.check == check]


def test_the_cookbooks_training_file(examples):
    report = check_file(examples / "cookbook_recipe_training.jsonl")
    assert (report.format, report.method, report.examples, report.trainable) == ("openai-chat", "sft", 101, True)
    assert report.counts == {}
    assert report.epochs == 3
    assert report.tokens.total == report.billed_tokens == 13_428
    assert (report.tokens.min, report.tokens.max, report.assistant_tokens.total) == (67, 225, 2_797)
    assert len(report.samples) == 3


def test_the_cookbooks_toy_chat(data):
    report = check_file(data / "cookbook_toy_chat.jsonl", tokenizer="cl100k_base", context=4096)
    assert (report.examples, report.trainable) == (5, True)
    warnings = {"missing_system_message": 1, "missing_user_message": 1, "over_token_limit": 1, "too_few_examples": 1}
    assert report.counts == warnings
    assert (report.tokens.min, report.tokens.max, report.tokens.mean) == (26, 8032, 1648.4)
    assert (report.billed_tokens, report.epochs, report.epochs * report.billed_tokens) == (4306, 20, 86_120)


def test_the_tutorials_training_set(data):
    report = check_file(data / "azure_tutorial_training_set.jsonl", tokenizer="cl100k_base", context=4096)
    assert (report.examples, report.trainable) == (10, True)
    assert (report.tokens.min, report.tokens.max, report.tokens.mean, report.tokens.median) == (47, 62, 52.1, 50.5)
    assert (report.assistant_tokens.min, report.assistant_tokens.max) == (13, 30)


@pytest.mark.parametrize(
    ("messages", "check"),
    [
        (None, "missing_messages_list"),
        ([], "missing_messages_list"),
        ("hello", "missing_messages_list"),
        ([USER, "hello", ASSISTANT], "data_type"),
        ([{"content": "x"}, ASSISTANT], "message_missing_key"),
        ([USER, {"role": "assistant"}], "message_missing_key"),
        ([USER, {**ASSISTANT, "colour": "blue"}], "message_unrecognized_key"),
        ([{**USER, "role": "human"}, ASSISTANT], "unrecognized_role"),
        ([{**USER, "role": ["user"]}, ASSISTANT], "unrecognized_role"),
        ([{**USER, "role": {}}, ASSISTANT], "unrecognized_role"),
        ([USER, {**ASSISTANT, "content": ""}], "missing_content"),
        ([USER, {**ASSISTANT, "content": None}], "missing_content"),
        ([USER, {**ASSISTANT, "content": [1]}], "bad_content_part"),
        ([SYSTEM, USER], "example_missing_assistant_message"),
        ([USER, {**ASSISTANT, "content": " \n"}], "empty_answer"),
    ],
)
def test_an_error_is_found_at_its_line(checked, messages, check):
    report = checked([GOOD, {"messages": messages}, GOOD])
    assert places(report, check) == [2]
    assert report.counts[check] == 1
    assert not report.trainable


@pytest.mark.parametrize(
    ("messages", "check"),
    [
        ([USER, ASSISTANT], "missing_system_message"),
        ([SYSTEM, ASSISTANT], "missing_user_message"),
        ([SYSTEM, USER, ASSISTANT, USER], "ends_without_answer"),
        (GOOD["messages"], "exact_duplicate"),
        ([SYSTEM, {**USER, "content": "word " * 200}, ASSISTANT], "over_token_limit"),
    ],
)
def test_a_warning_does_not_stop_the_training(checked, messages, check):
    report = checked([GOOD, {"messages": messages}], context=100)
    assert places(report, check) == [2]
    assert {one.severity for one in report.findings} == {Severity.WARNING}
    assert report.trainable


def test_what_newer_models_know_is_no_error(checked):
    newer = [
        {**SYSTEM, "role": "developer"},
        {**USER, "content": [{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {"url": "u"}}]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": "4", "tool_call_id": "c1"},
        {**ASSISTANT, "weight": 1, "refusal": None},
    ]
    report = checked([{"messages": newer, "tools": []}] * 10)
    assert report.trainable
    assert set(report.counts) == {"exact_duplicate"}


def test_prompt_and_completion(checked):
    report = checked([{"prompt": f"{number} + 1?", "completion": str(number + 1)} for number in range(10)])
    assert (report.format, report.examples, report.trainable) == ("prompt-completion", 10, True)
    assert report.samples[0].answer == "1"
    assert not checked([{"prompt": "2 + 2?", "completion": None}]).trainable


def test_a_file_that_was_cut_off_says_where(checked):
    lines = [json.dumps({"messages": [SYSTEM, {**USER, "content": str(number)}, ASSISTANT]}) for number in range(12)]
    report = checked("\n".join(lines)[:-30])
    assert places(report, "invalid_json") == [12]
    (finding,) = report.findings
    assert "cut off here" in finding.message
    assert (report.examples, report.trainable) == (11, False)


def test_lines_count_from_one_and_blank_ones_count(checked):
    report = checked(f"\n\n{json.dumps(GOOD)}\n\n[1]\nnonsense\n")
    assert places(report, "data_type") == [5]
    assert places(report, "invalid_json") == [6]
    assert report.examples == 1


def test_counts_are_exact_where_lists_are_not(checked):
    report = checked([GOOD, *[{"messages": []}] * (MOST_FINDINGS + 50)])
    assert report.counts["missing_messages_list"] == MOST_FINDINGS + 50
    assert len(places(report, "missing_messages_list")) == MOST_FINDINGS


def test_samples_are_without_fault(checked):
    report = checked([{"messages": []}, GOOD, {"messages": [USER]}, {"messages": [USER, ASSISTANT]}])
    assert [one.line for one in report.samples] == [2, 4]


def test_the_report_as_json(checked):
    report = checked([GOOD], tokenizer="cl100k_base")
    said = json.loads(json.dumps(report.to_json()))
    assert (said["format"], said["trainable"], said["examples"], said["epochs"]) == ("openai-chat", True, 1, 25)
    assert said["findings"][0]["severity"] == "warning"
    assert said["tokens"]["tokenizer"] == "cl100k_base"
    assert said["tokens"]["assistant"]["total"] == 1


def test_an_example_without_an_answer_contradicts_nothing(checked):
    report = checked([GOOD, {"messages": [SYSTEM, USER]}, {"messages": [SYSTEM, USER, {**ASSISTANT, "content": None}]}])
    assert "contradicting_answers" not in report.counts


def test_of_two_preferred_answers_only_the_longer_counts_towards_the_limit(checked):
    pair = {"prompt": "Say it.", "chosen": "yes " * 60, "rejected": "no " * 60}
    report = checked([{**pair, "prompt": f"{number}: say it."} for number in range(12)], context=100)
    assert report.method == "dpo"
    assert "over_token_limit" not in report.counts
    assert report.tokens.min > 120


def test_a_tool_call_that_is_cut_off_whole_is_said(checked):
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 2, "b": 2}'}}
    tools = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}]
    messages = [{**USER, "content": "word " * 200}, {"role": "assistant", "tool_calls": [call]}]
    report = checked([{"messages": messages, "tools": tools}], context=100)
    (finding,) = [one for one in report.findings if one.check == "over_token_limit"]
    assert "the whole answer is cut off" in finding.message


def test_a_table_with_guessed_columns_waits_for_a_person(put):
    path = put("name,colour,size\n" + "".join(f"thing {n},red,{n}\n" for n in range(20)), name="t.csv")
    guessed = check_file(path)
    assert guessed.guessed
    assert not guessed.trainable
    assert check_file(path, mapping=ColumnMapping(prompt="name", answer="colour")).trainable
