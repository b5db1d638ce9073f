"""Tables of text (CSV, TSV): separators, quotes, damaged rows."""

import contextlib
import csv
import io
import json
import time

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from workers.dataprep.checks import Severity
from workers.dataprep.source import Limits, UnreadableDataset, opened

CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20) | st.sampled_from(
    ["a,b", 'say "hi"', "one\ntwo", "x\r\ny", ";", "\t", " spaced ", '"', '""', "", "=1+1"]
)


@pytest.fixture
def read(tmp_path):
    def read_table(content, limits=Limits()):  # noqa: B008
        path = tmp_path / "table"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with opened(path, limits) as source:
            lines = source.path.read_bytes()[source.offset :].split(b"\n")[:-1]
            return source, {source.first + n: json.loads(line) for n, line in enumerate(lines) if line}

    return read_table


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    rows=st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=8),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_a_program_writes_is_read_back_with_the_row_numbers(read, rows, delimiter, end):
    assume(any(any(row) for row in rows))
    file = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if any("\r" in cell for row in rows for cell in row) else csv.QUOTE_MINIMAL
    writer = csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerows([("prompt", "completion", "note"), *rows])
    source, found = read(file.getvalue())
    assert source.columns == ("prompt", "completion", "note")
    assert (source.unit, source.first, source.findings) == ("row", 2, ())
    wanted = {n: dict(zip(source.columns, row, strict=True)) for n, row in enumerate(rows, 2) if any(row)}
    assert found == wanted


@pytest.mark.parametrize(
    ("text", "layout", "columns"),
    [
        ("question,answer\n2 + 2,4\n", "csv", ("question", "answer")),
        ("question;answer\n2, or 3;4\n1, or 2;3\n", "csv", ("question", "answer")),
        ("question\tanswer\na, b\tc\n", "tsv", ("question", "answer")),
        ("question|answer\na|c\n", "csv", ("question", "answer")),
        ("sep=;\nspalte a;spalte b\n1;2\n", "csv", ("spalte a", "spalte b")),
        ('prompt, "completion"\na, "b, c"\n', "csv", ("prompt", "completion")),
        ("text\nhello\nyou\n", "csv", ("text",)),
        (",text,label\n0,a,b\n1,c,d\n", "csv", ("column 1", "text", "label")),
        ("Frage,Antwort\na,b\nc,d\n", "csv", ("Frage", "Antwort")),
        ("\ufeffprompt,completion\na,b\n", "csv", ("prompt", "completion")),
        ("prompt,completion\ra,b\rc,d\r", "csv", ("prompt", "completion")),
        ("prompt,completion\n", "csv", ("prompt", "completion")),
    ],
)
def test_the_separator_and_the_header_are_found(read, text, layout, columns):
    source, _ = read(text)
    assert (source.layout, source.columns) == (layout, columns)


@pytest.mark.parametrize(
    "text",
    [
        "Dear all, how are you?\nI am fine, thank you, and you\nBest wishes\n",
        "Once upon a time\nthere was\n",
        "It was late, she said, and cold.\n\nThe door, once green, was open.\n",
    ],
)
def test_prose_with_commas_is_no_table(read, text):
    source, found = read(text)
    assert source.layout == "text"
    assert all(list(one) == ["text"] for one in found.values())


def test_quotes_across_lines_and_empty_rows_keep_the_numbers(read):
    source, found = read('prompt,completion\n"one\ntwo",2\n\n,\n"a ""quoted"" word",3\n')
    assert found == {
        2: {"prompt": "one\ntwo", "completion": "2"},
        5: {"prompt": 'a "quoted" word', "completion": "3"},
    }
    assert source.findings == ()


def test_rows_with_too_few_or_too_many_cells_are_named(read):
    source, found = read("prompt,completion\na,b\nc\nd,e,f\ng,h,,\n")
    assert [(row, one.check, one.fix, one.severity) for row, one in source.findings] == [
        (3, "ragged_row", "drop", Severity.ERROR),
        (4, "ragged_row", "drop", Severity.ERROR),
    ]
    assert "has 3 cells where the header has 2" in source.findings[1][1].words
    assert found[4] == {"prompt": "d", "completion": "e", "column 3": "f"}
    assert found[5] == {"prompt": "g", "completion": "h"}


@pytest.mark.parametrize("tail", ["", "more,rows\n" * 3])
def test_a_quote_that_is_never_closed_costs_one_row(read, tail):
    source, found = read('prompt,completion\na,b\n"c,d\ne,f\n' + tail)
    ((row, one),) = source.findings
    assert (row, one.check, one.fix) == (3, "unclosed_quote", "drop")
    assert 3 not in found
    assert found[4] == {"prompt": "e", "completion": "f"}
    assert len(found) == 2 + tail.count("\n")


def test_a_quote_that_swallows_more_than_one_example_may_hold_costs_one_row(read):
    limits = Limits(max_line_bytes=2000)
    source, found = read('prompt,completion\n"a,b\n' + "c,d\n" * 2000, limits)
    assert [(row, one.check) for row, one in source.findings] == [(2, "unclosed_quote")]
    assert len(found) == 2000


def test_huge_cells_and_lines_are_findings(read):
    limits = Limits(max_line_bytes=2000, max_cell_bytes=1000)
    source, found = read("prompt,completion\na," + "x" * 1500 + "\nb,c\nd," + "y" * 5000 + "\ne,f", limits)
    assert [(row, one.check) for row, one in source.findings] == [(2, "line_too_long"), (4, "line_too_long")]
    assert [one["prompt"] for one in found.values()] == ["b", "e"]
    assert csv.field_size_limit() == 131072


def test_too_many_damaged_rows_are_a_refusal(read):
    with pytest.raises(UnreadableDataset, match="More than 10 rows"):
        read("prompt,completion\n" + "a\n" * 20, Limits(max_findings=10))
    with pytest.raises(UnreadableDataset, match="too many rows with a quote"):
        read("prompt,completion\n" + '"a\n""\n' * 5000, Limits(max_line_bytes=8))


def test_too_many_columns_are_a_refusal_and_equal_ones_are_renamed(read):
    with pytest.raises(UnreadableDataset, match="3 columns; at most 2"):
        read("text,label,note\na,b,c\n", Limits(max_columns=2))
    source, _ = read("text,text,text (2)\na,b,c\n")
    assert source.columns == ("text", "text (2)", "text (2) (2)")
    assert {one.check for _, one in source.findings} == {"duplicate_column"}


def test_cells_that_are_no_utf8_are_read_as_windows_1252_and_named(read):
    rows = [f"für {n},gut\n".encode() for n in range(20)]
    source, found = read(b"prompt,completion\n" + b"".join(rows) + "caf\xe9,ja\n".encode("latin-1"))
    assert found[22] == {"prompt": "café", "completion": "ja"}
    assert [(row, one.check) for row, one in source.findings] == [(None, "mixed_encoding"), (22, "invalid_utf8")]


def test_nul_bytes_stay_for_the_checks_to_find(read):
    _, found = read("prompt,completion\n" + "a,b\n" * 50 + "c\x00,d\n")
    assert found[52] == {"prompt": "c\x00", "completion": "d"}


def test_what_comes_out_is_bounded(read):
    with pytest.raises(UnreadableDataset, match="As JSON lines the table is larger"):
        read("prompt,completion\n" + "a,b\n" * 1000, Limits(max_plain_bytes=10_000))


def test_hostile_quotes_take_no_time(read):
    start = time.monotonic()
    for text in ('"' * 1_000_000, '"a\n' * 200_000, ',"' * 300_000, '"",' * 300_000 + "\n"):
        with contextlib.suppress(UnreadableDataset):
            read("prompt,completion\n" + text)
    assert time.monotonic() - start < 10


def test_a_small_table_that_grows_without_end_as_json_lines_is_refused(tmp_path):
    path = tmp_path / "wide.csv"
    names = [f"{'name' * 20}{number}" for number in range(300)]
    path.write_text("\n".join([",".join(names), *[",".join(["1"] * 300)] * 400]))
    with pytest.raises(UnreadableDataset, match="many times its own size"), opened(path, Limits(free_bytes=1_000_000)):
        pass
