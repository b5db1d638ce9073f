"""What is shown of datasets: read at a glance, accepted by Slack whatever is in the data, and pinging nobody."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import transcript
from bot.blocks import (
    dataset_forms,
    dataset_list,
    dataset_report,
    examples,
    findings,
    lengths,
    run_card,
    thread_import,
)
from bot.blocks.elements import characters
from bot.sandbox.block_kit import problems_of_blocks, problems_of_view
from providers.base import Method
from workers import previews
from workers.dataprep.checks.catalogue import CATALOGUE
from workers.dataprep.convert import TARGETS
from workers.dataprep.example import Example, Message
from workers.dataprep.report import check_file
from workers.plans import methods
from workers.plans.plan import Choices
from workers.run_status import RunStatus
from workers.tables import (
    Consent,
    ConsentAnswer,
    Dataset,
    DatasetRole,
    ImportStatus,
    Run,
    ThreadImport,
    Upload,
    UploadStatus,
)

TEXT = st.text(
    alphabet=st.sampled_from(list("<!@#>|&*_~`\n ")) | st.characters(exclude_categories=["Cs"]), max_size=400
)
LONG = TEXT | TEXT.map(lambda text: text * 60)
OURS = re.compile(r"<@U1>|<#C1>|<https://x\.slack\.com/p1\|a thread>")


def check(drawn) -> None:
    assert drawn.text.strip()
    assert problems_of_blocks(drawn.blocks) == []
    _pings_nobody(drawn.blocks)
    _pings_nobody(drawn.text)


def check_view(view) -> None:
    assert problems_of_view(view) == []
    _pings_nobody(view["blocks"])


def _pings_nobody(shown: object) -> None:
    text = OURS.sub("", json.dumps(shown, ensure_ascii=False))
    assert not re.search(r"<[!@#]", text)


def finding(check="missing_content", line=17, severity="error", message="The message's content is empty.", **more):
    return {"check": check, "line": line, "severity": severity, "message": message, "fix": "drop", **more}


def report(found=(), counts=None, examples=101, **more):
    counted: dict[str, int] = {}
    for one in found:
        counted[one["check"]] = counted.get(one["check"], 0) + 1
    return {
        "examples": examples, "findings": list(found), "counts": counted if counts is None else counts, "unit": "line",
        "tokens": {"total": 14070, "min": 42, "max": 318, "median": 130, "p95": 300}, "samples": [], **more,
    }  # fmt: skip


def dataset(name="recipes.jsonl", **more) -> Dataset:
    return Dataset(**{
        "id": 1, "team_id": "T1", "channel_id": "C1", "creator_id": "U1", "name": name, "sha256": "0" * 64,
        "storage_key": "k", "format": "openai-chat", "method": "sft", "examples": 101, "trainable": True,
        "role": DatasetRole.TRAIN, "role_reason": "the only file", "report": report(), "upload_id": 1,
        "message_ts": "1",
        "thread_ts": "1", "size": 58_700, **more,
    })  # fmt: skip


def upload(name="recipes.jsonl", status=UploadStatus.CHECKED, **more) -> Upload:
    return Upload(team_id="T1", slack_file_id="F", message_ts="1", name=name, status=status, **more)


def said(drawn) -> str:
    blocks = drawn.blocks if hasattr(drawn, "blocks") else drawn["blocks"]
    return "\n".join(transcript.lines({"blocks": blocks}))


def buttons(drawn) -> list[str]:
    return [e["action_id"] for b in drawn.blocks if b["type"] == "actions" for e in b["elements"]]


def one(row, **more):
    return dataset_report.draw([(upload(row.name, **more), row)])


# what a person reads


def test_a_good_file_is_one_line_a_verdict_and_what_to_do_next():
    drawn = one(dataset())
    assert said(drawn).splitlines()[:2] == [
        "recipes.jsonl · 101 examples · chat conversations · 14,070 tokens (42 to 318 each)",
        "✅ Ready to train. Learn from it (the only file). Nothing to mend.",
    ]
    assert "Best fit: smollm2-135m-instruct on this machine: $0" in said(drawn)
    assert buttons(drawn) == ["start_from_report", "preview_dataset", "convert_dataset", "dataset_menu"]


@pytest.mark.parametrize("method", ["dpo", "kto", "rft"])
def test_every_kind_of_examples_is_trained_on_this_machine(method):
    drawn = one(dataset(format="x", method=method, examples=12, report=report(format="x", method=method)))
    assert "start_from_report" in buttons(drawn)
    assert "Best fit: smollm2-135m-instruct on this machine: $0" in said(drawn)


def test_what_nothing_here_trains_has_no_button_to_start(monkeypatch):
    monkeypatch.setitem(methods.BY_KIND, Method.RFT, (Method.RFT,))  # as if only vendors took such prompts
    row = dataset(format="x", method="rft", examples=12, report=report(format="x", method="rft"))
    assert "Nothing that is set up here trains on it (method rft)" in said(one(row))
    version = dataset_report.draw_version(row, dataset(), held_out=False)
    for drawn in (one(row), version):
        assert "start_from_report" not in buttons(drawn)
        assert "attach_test" not in buttons(drawn)
        assert "convert_dataset" in buttons(drawn)
        assert "Ready to train" not in said(drawn) + drawn.text
        assert "No errors, but nothing here trains on it" in said(drawn)
        assert "Download converted" in said(drawn)
    assert "at OpenAI" in said(one(row))


def prose(tmp_path, name="README.md", **more):
    """What the engine makes of a document."""
    path = tmp_path / name
    path.write_text("# Returns\n\nA parcel comes back within 30 days.\n\nWe pay for it within the country.\n" * 3)
    found = check_file(path).to_json()
    return dataset(name, **{"format": found["format"], "examples": found["examples"], "report": found, **more})


def test_a_document_says_what_would_be_learnt_and_what_to_attach_instead(tmp_path):
    row = prose(tmp_path)
    drawn = one(row)
    check(drawn)
    assert drawn.text == "📄 A text, not questions with answers"
    assert "learns to go on with such text, not to answer questions about it" in said(drawn)
    assert "Ready to train" not in said(drawn)
    assert "attach questions with their answers instead" in said(drawn)
    assert "nothing needs to be trained: paste the passage" in said(drawn)
    assert "no file to test on" not in said(drawn)
    shown = next(block for block in drawn.blocks if block["type"] == "actions")["elements"]
    start = next(one for one in shown if one["action_id"] == "start_from_report")
    assert start["text"]["text"] == "Train on the text itself"
    assert [one["action_id"] for one in shown][-2:] == ["start_from_report", "dataset_menu"]
    assert not any("style" in one for one in shown)


def test_what_a_document_is_told_to_be_instead_can_be_trained_on(tmp_path):
    advice = one(prose(tmp_path)).blocks[1]["text"]["text"]
    path = tmp_path / "pairs.jsonl"
    path.write_text(re.search(r"```(.+?)```", advice)[1])
    found = check_file(path)
    assert (found.trainable, found.guessed) == (True, False)
    assert found.mapping == {"prompt": "question", "answer": "answer"}


def test_a_document_among_files_is_not_said_to_be_ready_to_train(tmp_path):
    document, other = prose(tmp_path, id=2), dataset()
    both = dataset_report.draw([(upload(), other), (upload("README.md"), document)])
    assert said(both).splitlines()[0] == "✅ 2 files, without errors"
    assert "docs/datasets.md" in said(both)
    alone = dataset_report.draw([(upload("a.md"), document), (upload("b.md"), document)])
    assert alone.text == "📄 2 texts"
    held = one(prose(tmp_path, role=DatasetRole.TEST, role_reason="named “test”"))
    assert "Held out, to test the result (named “test”)" in said(held)
    assert "start_from_report" not in buttons(held)


def test_text_that_was_made_to_be_learnt_starts_as_ever_with_a_remark():
    row = dataset("corpus.jsonl", format="text", report=report(format="text", layout="jsonl"))
    assert "✅ Ready to train" in said(one(row))
    assert buttons(one(row))[0] == "start_from_report"
    assert "It is text without questions" in said(one(row))
    assert "text without questions" not in said(one(dataset()))


@pytest.mark.parametrize(
    ("channel_id", "name", "words", "again"),
    [
        ("C1", "planning", "/invite @Finetune Bot", True),
        ("D1", "directmessage", "direct conversation between people", False),
        ("G1", "mpdm-ada--rey-1", "direct conversation between people", False),
    ],
)
def test_a_window_says_what_can_be_done_where_the_bot_is_not(channel_id, name, words, again):
    view = thread_import.barred("channel_not_found", channel_id, "1.1", channel_name=name)
    assert problems_of_view(view) == []
    assert words in said(view)
    assert ("submit" in view) == again
    assert thread_import.reopened(view) == (channel_id, "1.1")


def test_shown_elsewhere_nothing_changes_it():
    table = {"columns": ["q", "a"], "rows": []}
    made = report([finding()], fixes={"missing_content": 1}, table=table)
    row = dataset(examples=12, changes={"diff": [{"line": 1, "before": "a", "after": "b"}]}, report=made)
    drawn = dataset_report.draw([(upload(), row)], elsewhere=True)
    assert buttons(drawn) == ["start_from_report", "preview_dataset", "convert_dataset", "dataset_menu"]
    assert "columns:" not in json.dumps(drawn.blocks)
    assert "It is shared from another channel" in said(drawn)
    guessed = dataset(trainable=False, report=report(guessed=True, table=table))
    assert "choose_columns" not in buttons(dataset_report.draw([(upload(), guessed)], elsewhere=True))
    assert "columns:" in json.dumps(one(row).blocks)
    assert {"attach_test", "fix_dataset"} <= set(buttons(one(row)))


def test_a_form_in_another_channel_answers_in_that_channel():
    row = dataset(thread_ts="1.1")
    for channel_id, thread_ts, words in (("C1", "1.1", "the report's thread"), ("C2", "", "this channel")):
        view = dataset_forms.conversion(row, channel_id, [("kto", "thumbs")])
        assert dataset_forms.opened(view) == (channel_id, 1)
        assert dataset_forms.thread(view) == thread_ts
        assert words in json.dumps(view["blocks"])


def test_runs_elsewhere_are_counted():
    row = dataset()
    run = Run(
        id=7, team_id="T1", name="r", request_key="r", dataset_id=1, provider="local", base_model="m", method="sft"
    )
    for runs, words in (([run], "Used by r (run 7), and 2 runs elsewhere"), ([], "Used by 2 runs elsewhere")):
        assert words in said(dataset_list.show(row, [row], runs, one(row), "C1", elsewhere=2))
    assert "Used by" not in said(dataset_list.show(row, [row], [], one(row), "C1"))


def test_a_short_run_of_a_cross_check_is_not_offered_to_chat_with():
    run = Run(
        id=7, team_id="T1", name="r", request_key="r", dataset_id=1, provider="local", base_model="m", method="sft",
        status=RunStatus.READY, plan=Choices(dataset_id=1).to_json(),
    )  # fmt: skip
    assert "Reply in this thread to chat" in said(run_card.draw(run))
    run.plan = {**run.plan, "part": {"number": 0, "of": 3, "run": 6}}
    assert "chat" not in said(run_card.draw(run))
    run.progress = {"verdict": "8 of 10"}
    assert "8 of 10" in said(run_card.draw(run))
    check(run_card.draw(run))


MARKUP = "<&" * 5000


def test_markup_by_the_thousand_fits_into_one_message():
    differing = [{"line": 1, "before": MARKUP, "after": f"{MARKUP}!"}] * 15
    outcome = {"added": 1, "removed": 2, "changed": 3, "same": 4, "differences": differing}
    found = [finding(f"c{number}", number, message=MARKUP, excerpt=MARKUP) for number in range(30)]
    row = dataset(MARKUP, report=report(found))
    version = dataset_report.draw_version(row, row, held_out=False)
    many = dataset_report.draw([(upload(MARKUP, UploadStatus.REFUSED, problem=MARKUP), None)] * 45)
    compared = dataset_list.comparison(row, row, outcome)
    shown = dataset_list.show(row, [row], [], many, "C1")
    for drawn in (version, many, compared, shown):
        check(drawn)
        assert characters(drawn.blocks) <= 10_000
        for block in drawn.blocks:
            text = str((block.get("text") or {}).get("text") or "")
            assert text.count("```") % 2 == 0
            assert not re.search(r"&(?!amp;|lt;|gt;)", text)
    assert "more examples do not fit" in said(compared)
    assert said(compared).count("was changed") >= 4
    assert "Dataset 1" in said(shown)  # what is known of it is not what is cut


def test_errors_come_first_grouped_with_their_first_lines_and_exact_counts():
    duplicates = [finding("near_duplicate", line, "warning", fix="dedupe") for line in (17, 40, 88, 90, 91, 92)]
    row = dataset(
        trainable=False,
        report=report(
            [*duplicates, finding(line=63)], counts={"near_duplicate": 250, "missing_content": 1}, examples=2000,
            fixes={"near_duplicate": 250, "missing_content": 1},
        ),
    )  # fmt: skip
    lines = said(one(row)).splitlines()
    assert lines[1].startswith("❌ Not trainable yet: 1 error. Apply fixes mends")
    assert lines[2] == "🔴 Line 63: The message's content is empty"
    assert lines[3] == "🟡 250 × Nearly the same example again (lines 17, 40, 88, 90, 91 …)"
    assert buttons(one(row))[0] == "fix_dataset"
    assert "start_from_report" not in buttons(one(row))


def test_units_and_writing_are_the_files_own():
    row = dataset(
        "a.csv.gz", format="table",
        report=report([finding(line=5, severity="warning")], unit="row", layout="csv", encoding="windows-1252",
                      compression="gzip"),
    )  # fmt: skip
    assert "a table · CSV, windows-1252, gzipped" in said(one(row))
    assert "Row 5: " in said(one(row))


def test_unknown_columns_are_asked_for():
    table = {"columns": ["Frage", "Notiz", "Antwort"], "rows": []}
    drawn = one(dataset("faq.csv", trainable=False, report=report(guessed=True, table=table)))
    assert "Which column is what? It has Frage, Notiz, Antwort." in said(drawn)
    assert buttons(drawn)[:2] == ["choose_columns", "preview_dataset"]
    assert "start_from_report" not in buttons(drawn)


def test_few_examples_without_a_test_file_say_what_cannot_be_claimed():
    few = dataset(examples=12)
    assert "nothing can be claimed" in said(one(few))
    assert "attach_test" in buttons(one(few))
    test = dataset("test.jsonl", id=2, role=DatasetRole.TEST)
    both = dataset_report.draw([(upload(), few), (upload("test.jsonl"), test)])
    assert "nothing can be claimed" not in said(both)
    assert said(both).splitlines()[0] == "✅ 2 files, ready to train"


def test_a_large_file_shows_how_far_it_is():
    going = upload("big.jsonl", UploadStatus.STORED)
    going.progress = {"bytes_done": 300_000_000, "bytes_total": 1_000_000_000, "examples": 301_200}
    drawn = dataset_report.draw([(going, None)])
    assert said(drawn).splitlines() == [
        "⏳ big.jsonl is being checked", "`██████░░░░░░░░░░░░░░` 300.0 MB of 1.0 GB · 301,200 examples so far"
    ]  # fmt: skip


def test_a_mended_version_says_what_was_done():
    changes = {"kept": 99, "dropped": 2, "changed": 1, "by_check": {"secret": 1}, "diff": [
        {"line": 4, "check": "secret", "before": "key sk-123", "after": "key [removed]"},
        {"line": 9, "check": "exact_duplicate", "before": "{}", "after": ""},
    ]}  # fmt: skip
    row = dataset(version=2, upload_id=None, parent_id=1, changes=changes)
    drawn = dataset_report.draw_version(row, dataset(), held_out=False)
    assert "Made from recipes.jsonl v1, which stays as it was: 2 examples removed and 1 example changed" in said(drawn)
    assert "show_changes" in buttons(drawn)
    view = dataset_forms.changes(row, dataset())
    assert "Line 4 was changed" in said(view)
    assert "Line 9 was removed" in said(view)
    check(drawn)
    check_view(view)


def test_every_method_is_previewed_in_its_own_words():
    some = [
        Example((Message("user", "q"), Message("assistant", "good")), rejected=(Message("assistant", "bad"),)),
        Example((Message("user", "q"), Message("assistant", "a")), label=False),
        Example((Message("user", "q"),), turns=0, reference={"answer": "42"}, tools=[{"function": {"name": "f"}}]),
    ]
    row = dataset(report=report(samples=[previews.of(one) for one in some]))
    text = said(examples.preview(row))
    for words in (
        "👍 preferred",
        "👎 not preferred",
        "👎 not wanted",
        "🎯 reference for the grader",
        "🔧 may call: `f`",
    ):
        assert words in text
    check_view(examples.preview(row))
    assert "No example of it could be read" in said(examples.preview(dataset()))


def test_the_list_has_the_newest_version_size_status_and_who_may_use_it():
    rows = [
        dataset(id=3, version=2), dataset(id=2, version=1), dataset("faq.csv", id=4, trainable=False, channel_id="C1"),
        dataset("shared.jsonl", id=5, shared=True),
    ]  # fmt: skip
    text = said(dataset_list.draw(rows, "C1"))
    assert "3 datasets can be used here" in text
    assert (
        "✅ recipes.jsonl v2 (dataset 3)\n101 examples · 58.7 kB · ready · for this channel · 1 earlier version" in text
    )
    assert "❌ faq.csv v1 (dataset 4)\n101 examples · 58.7 kB · has errors" in text
    assert "for the whole workspace" in text
    assert "There is no dataset here yet" in said(dataset_list.draw([], "C1"))


def test_the_picture_is_one():
    histogram = {"edges": [0, 10, 20, 3000], "counts": [3, 90, 1]}
    assert lengths.png("a$b.jsonl 🎉", report(histogram=histogram)).startswith(b"\x89PNG")
    assert lengths.png("x", report(histogram={"edges": [5, 5], "counts": [1]})).startswith(b"\x89PNG")
    assert lengths.png("x", {}).startswith(b"\x89PNG")


# whatever is in the data


@given(name=TEXT, message=LONG, words=TEXT)
@settings(max_examples=25, deadline=None)
def test_reports(name, message, words):
    found = [finding(f"check {number}", number, message=message, excerpt=words) for number in range(1, 30)]
    table = {"columns": [words, message], "rows": []}
    for row in (
        dataset(name, trainable=False, report=report(found, fixes={"secret": 3})),
        dataset(name, role_reason=words, examples=3, report=report(found * 30)),
        dataset(name, report=report(guessed=True, table=table)),
        dataset(name, deleted_at=1.0, deleted_by="U1"),
    ):
        check(one(row))
        check(dataset_report.draw_version(row, row, held_out=False))
        check_view(findings.everything(row))
    refused = upload(name, UploadStatus.REFUSED, problem=message)
    check(dataset_report.draw([(refused, None)]))
    check(dataset_report.draw([(refused, None)] * 4 + [(upload(name), dataset(name, report=report(found)))] * 6))
    check(dataset_report.draw([(upload(name, UploadStatus.RECEIVED), None)]))


@given(name=TEXT, content=LONG, role=TEXT)
@settings(max_examples=25, deadline=None)
def test_previews(name, content, role):
    message = Message(role, content, {"tool_calls": [{"function": {"name": name, "arguments": content}}]})
    example = Example((message,) * 9, rejected=(message,) * 9, label=True, reference={name: content})
    check_view(examples.preview(dataset(name, report=report(samples=[previews.of(example)] * 3))))
    old = [[{"role": role, "content": content}] * 6] * 3
    check_view(examples.preview(dataset(name, report=report(samples=old))))


@given(name=TEXT, cell=LONG)
@settings(max_examples=25, deadline=None)
def test_forms(name, cell):
    columns = [f"{number}{name}" for number in range(100)]
    table = {"columns": columns, "rows": [[cell] * 100] * 3}
    row = dataset(name, report=report(table=table, fixes=dict.fromkeys(CATALOGUE, 12_345)))
    shown = [previews.of(Example((Message("user", cell), Message("assistant", cell))))] * 3
    check_view(dataset_forms.columns(row, "C1", {"prompt": columns[0], "answer": columns[99]}, shown))
    check_view(dataset_forms.columns(row, "C1", {}, []))
    check_view(dataset_forms.mend(row, "C1"))
    check_view(dataset_forms.conversion(row, "C1", [(one.id, one.words) for one in TARGETS.values()]))
    check_view(dataset_forms.test_file(row, "C1"))
    differing = [{"line": 1, "before": cell, "after": name}, {"line": None, "before": "", "after": cell}] * 20
    check_view(dataset_forms.changes(dataset(name, changes={"diff": differing, "by_check": {name: 1}}), row))
    outcome = {"added": 1, "removed": 2, "changed": 3, "same": 4, "differences": differing}
    check(dataset_list.comparison(row, row, outcome))


@given(name=TEXT)
@settings(max_examples=25, deadline=None)
def test_lists(name):
    rows = [dataset(f"{name}{number}", id=number) for number in range(1, 60)]
    check(dataset_list.draw(rows, "C2"))
    run = Run(
        id=7, team_id="T1", name=name, request_key="r", dataset_id=1, provider="local", base_model="m", method="sft"
    )
    check(dataset_list.show(rows[0], rows, [run] * 20, one(rows[0]), "C1"))
    check(dataset_list.ask_deletion(rows[0]))


@given(problem=LONG)
@settings(max_examples=10, deadline=None)
@pytest.mark.parametrize("status", ImportStatus)
@pytest.mark.parametrize("answer", ConsentAnswer)
def test_threads(status, answer, problem):
    wanted = ThreadImport(
        id=1, team_id="T1", channel_id="C1", creator_id="U1", request_key="k", thread_ts="1", status=status,
        problem=problem,
    )  # fmt: skip
    consent = Consent(id=1, import_id=1, user_id="U1", messages=3, answer=answer)
    check(thread_import.card(wanted, [consent]))
    for link in ("https://x.slack.com/p1", "", "javascript:x"):
        check(thread_import.question(wanted, consent, link))
