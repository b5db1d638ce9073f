"""Bytes of any kind: read, or refused in words that say what was found."""

import gzip
import json

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from workers.dataprep import lines
from workers.dataprep.lines import UnreadableDataset
from workers.dataprep.report import check_file

GOOD = json.dumps({"messages": [{"role": "user", "content": "für 🥞"}, {"role": "assistant", "content": "ja"}]},
                  ensure_ascii=False)  # fmt: skip
CHAT = st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", None]), "content": st.text() | st.none()})
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text() | CHAT,
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["messages", "role", "content", "x"]), inner),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "It is empty"),
        (b"\n \r\n\t", "It is empty"),
        (b"\xef\xbb\xbf", "It is empty"),
        (b"\n<!DOCTYPE html>\n<html><body>Sign in</body></html>", "web page"),
        (b"<HTML>", "web page"),
        (b"PK\x03\x04....", "ZIP archive"),
        (gzip.compress(GOOD.encode()), "gzip archive"),
        (b"%PDF-1.7", "PDF"),
        (b"GGUF\x03", "model file"),
        (bytes(range(256)), "binary data"),
        (b"question,answer\n2 + 2,4\n", "table"),
        (b"Dear all,", "table"),
        (b"Once upon a time\nthere was\n", "plain text"),
        (b'{"messages": [{"role"', "not valid JSON"),
        (f"[{GOOD}, {GOOD[:40]}".encode(), "not valid JSON"),
        ('{"messages": "caf\xe9"}'.encode("latin-1"), "not valid UTF-8"),
        (b'{"instruction": "add", "output": "4"}', "instruction, output"),
        (b"[1, 2]", "not a list of training examples"),
        (b"\xff\xfe" + GOOD.encode("utf-16-le") + b"x", "UTF-16"),
        (b"\xff\xfe" + b"\x00\xd8" * 10, "UTF-16"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_dataset_is_refused_with_words(put, content, words):
    with pytest.raises(UnreadableDataset) as refused:
        check_file(put(content))
    assert words in refused.value.user_message
    assert "Attach" in refused.value.user_message
    assert "Error" not in refused.value.user_message


def test_a_file_over_the_limit_is_refused_unread(put):
    with pytest.raises(UnreadableDataset, match=r"2\.0 MB, over this installation's limit of 1\.0 MB"):
        check_file(put(b"x" * 2_000_000), max_bytes=1_000_000)


@pytest.mark.parametrize(
    "content",
    [
        f"{GOOD}\n{GOOD}\n".encode(),
        f"{GOOD}\n{GOOD}".encode(),
        f"{GOOD}\r\n\r\n{GOOD}\r\n".encode(),
        f"{GOOD}\n  {GOOD}\n".encode(),
        f"\ufeff{GOOD}\n{GOOD}".encode(),
        f"{GOOD}\n{GOOD}\n".encode("utf-16"),
        b"\xfe\xff" + f"{GOOD}\n{GOOD}\n".encode("utf-16-be"),
        f"[{GOOD},{GOOD}]".encode(),
        json.dumps([json.loads(GOOD)] * 2, indent=2).encode(),
    ],
)
def test_the_same_examples_however_they_are_written(put, content):
    report = check_file(put(content))
    assert (report.examples, report.trainable) == (2, True)
    assert report.samples[0].messages[0].content == "für 🥞"


def test_one_object_over_many_lines_is_one_example(put):
    assert check_file(put(json.dumps(json.loads(GOOD), indent=4))).examples == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"messages": "\xff"}', "not valid UTF-8"),
        (b'{"messages": "\\ud83e"}', "half a character"),
        (b'{"messages": NaN}', "NaN"),
        (b'{"messages": ' + b"9" * 5000 + b"}", "Not valid JSON"),
        (b'{"messages": ' + b"[" * 5000, "nested too deeply"),
        (b"x" * (lines.MOST_LINE_BYTES + 1), "longer than 8 MB"),
    ],
)
def test_one_bad_line_does_not_spoil_the_others(put, line, words):
    report = check_file(put(GOOD.encode() + b"\n" + line + b"\n" + GOOD.encode() + b"\n"))
    assert report.examples == 2
    (finding,) = [one for one in report.findings if one.check == "invalid_json"]
    assert finding.line == 2
    assert words in finding.message


def test_a_pair_of_surrogates_is_a_character(put):
    escaped = json.dumps(json.loads(GOOD))
    assert "\\ud83e" in escaped
    assert check_file(put(escaped)).samples[0].messages[0].content == "für 🥞"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=st.lists(JSON, min_size=1, max_size=5), cut=st.integers(0, 30))
def test_whatever_it_holds_a_file_is_judged_or_refused(put, records, cut):
    content = "".join(json.dumps(one) + "\n" for one in records).encode()
    try:
        report = check_file(put(content[: len(content) - cut]))
    except UnreadableDataset as refused:
        event(refused.user_message[:20])
    else:
        assert report.trainable == (report.errors == 0 and report.examples > 0)
        json.dumps(report.to_json())
