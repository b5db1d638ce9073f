"""XLSX workbooks, written here part by part."""

import io
import json
import zipfile

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from workers.dataprep.checks import Severity
from workers.dataprep.source import Limits, UnreadableDataset, opened

MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def book(*sheets, shared=(), formats="", more=None, before=""):
    """A workbook of sheets (name, rows), its rows being XML."""
    parts = {
        "xl/workbook.xml": f'<workbook {MAIN} xmlns:r="{OFFICE}"><sheets>'
        + "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, (name, _) in enumerate(sheets, 1))
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": "<Relationships>"
        + "".join(
            f'<Relationship Id="r{n}" Type="t" Target="worksheets/sheet{n}.xml"/>' for n in range(1, len(sheets) + 1)
        )
        + "</Relationships>",
        "xl/sharedStrings.xml": f"<sst {MAIN}>" + "".join(f"<si>{one}</si>" for one in shared) + "</sst>",
        "xl/styles.xml": f"<styleSheet {MAIN}>{formats}</styleSheet>",
        **{
            f"xl/worksheets/sheet{n}.xml": f"{before}<worksheet {MAIN}><sheetData>{rows}</sheetData></worksheet>"
            for n, (_, rows) in enumerate(sheets, 1)
        },
        **(more or {}),
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def row(number, *texts):
    cells = "".join(f'<c t="inlineStr"><is><t>{one}</t></is></c>' for one in texts)
    return f'<row r="{number}">{cells}</row>'


HEADER = row(1, "prompt", "completion")


@pytest.fixture
def read(tmp_path):
    def read_book(content, limits=Limits()):  # noqa: B008
        path = tmp_path / "book"
        path.write_bytes(content)
        with opened(path, limits) as source:
            lines = source.path.read_bytes().split(b"\n")[:-1]
            return source, {source.first + n: json.loads(line) for n, line in enumerate(lines) if line}

    return read_book


def test_the_first_sheet_with_values_is_read_with_its_row_numbers(read):
    content = book(("Notes", ""), ("Data", row(3, "prompt", "completion") + row(5, "a", "b") + row(9, "c")))
    source, found = read(content)
    assert (source.layout, source.unit, source.first, source.columns) == ("xlsx", "row", 4, ("prompt", "completion"))
    assert found == {5: {"prompt": "a", "completion": "b"}, 9: {"prompt": "c", "completion": None}}
    ((place, one),) = source.findings
    assert (place, one.check, one.severity) == (None, "other_sheets", Severity.INFO)
    assert "“Data” was read" in one.words


def test_every_kind_of_cell_is_read(read):
    formats = (
        '<numFmts><numFmt numFmtId="170" formatCode="dd/mm/yyyy"/></numFmts>'
        '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="170"/><xf numFmtId="20"/></cellXfs>'
    )
    shared = ["<t>shared</t>", "<r><t>rich </t></r><r><t>text</t></r><rPh><t>hidden</t></rPh>"]
    cells = (
        '<c r="A2" t="s"><v>0</v></c><c r="B2" t="s"><v>1</v></c><c r="C2"><v>3</v></c><c r="D2"><v>0.5</v></c>'
        '<c r="E2" t="b"><v>1</v></c><c r="F2" s="1"><v>45292</v></c><c r="G2" s="2"><v>45292.5</v></c>'
        '<c r="H2" s="3"><v>0.25</v></c><c r="J2" t="str"><v>made</v></c>'
    )
    header = row(1, *"ABCDEFGHIJ")
    source, found = read(book(("S", header + f'<row r="2">{cells}</row>'), shared=shared, formats=formats))
    assert source.findings == ()
    assert list(found[2].values()) == [
        *("shared", "rich text", 3, 0.5, True, "2024-01-01", "2024-01-01 12:00:00", "06:00:00", None, "made")
    ]


def test_formulas_give_their_saved_values_and_are_named(read):
    rows = "".join(
        f'<row r="{n}"><c r="A{n}"><f>1+1</f><v>2</v></c><c r="B{n}" t="str"><f>A{n}</f><v>x</v></c></row>'
        for n in (2, 3)
    )
    rows += '<row r="4"><c r="A4"><f>NOW()</f></c><c r="B4" t="e"><v>#REF!</v></c></row>'
    source, found = read(book(("S", HEADER + rows)))
    assert found == {2: {"prompt": 2, "completion": "x"}, 3: {"prompt": 2, "completion": "x"}}
    assert [(place, one.check, one.severity, one.fix) for place, one in source.findings] == [
        (2, "formula_cell", Severity.WARNING, ""),
        (2, "formula_cell", Severity.WARNING, ""),
        (4, "formula_cell", Severity.ERROR, "drop"),
        (4, "error_cell", Severity.ERROR, "drop"),
    ]
    assert "Column B has formulas (the first one in B2)" in source.findings[1][1].words
    assert "Cell A4 is a formula without a saved value" in source.findings[2][1].words


def test_macros_are_ignored_and_mentioned(read):
    source, found = read(book(("S", HEADER + row(2, "a", "b")), more={"xl/vbaProject.bin": b"\x00code"}))
    assert found == {2: {"prompt": "a", "completion": "b"}}
    assert [(one.check, one.severity) for _, one in source.findings] == [("macros_ignored", Severity.INFO)]


BOMB = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]>'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (book(("S", "")), "no values in any sheet"),
        (book(), "no sheet with cells"),
        (book(("S", HEADER), before=BOMB), "defines entities"),
        (book(("S", HEADER + "<row>")), "XML is damaged"),
        (book(("S", row(5, "a", "b") + row(4, "c", "d"))), "is damaged"),
        (book(("S", row(9_999_999, "a", "b"))), "is damaged"),
        (book(("S", HEADER), more={"xl/_rels/workbook.xml.rels": "<Relationships/>"}), "no sheet with cells"),
        (book(("S", HEADER + row(2, "a", "b")))[:-40], "damaged"),
    ],
)
def test_what_is_no_table_is_refused_with_words(read, content, words):
    with pytest.raises(UnreadableDataset) as refused:
        read(content)
    assert words in refused.value.user_message


def test_a_workbook_that_bursts_is_refused(read):
    limits = Limits(free_bytes=100_000)
    with pytest.raises(UnreadableDataset, match="unpacks to more than"):
        read(book(("S", HEADER + row(2, "a" * 5_000_000, "b"))), limits)
    far = (
        '<row r="2"><c r="XFD2"><v>1</v></c><c r="ZZZ2"><v>1</v></c></row>'
        '<row r="1048576"><c r="A1048576"><v>1</v></c></row>'
    )
    source, found = read(book(("S", HEADER + far)))
    assert source.findings[0][1].check == "ragged_row"
    assert list(found) == [2, 1048576]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.text(st.sampled_from(list("<>/=\"'rcvft129A &;")), max_size=60),
    number=st.sampled_from(["1", "-1", "1e9", "", "²", "99999999"]),
    kind=st.sampled_from(["s", "b", "n", "e", "str", "inlineStr", "x"]),
    value=st.sampled_from(["1", "-1", "1e999", "nan", "²", "", "99999999999"]),
)
def test_whatever_a_sheet_holds_it_is_read_or_refused(read, rows, number, kind, value):
    cell = f'<row r="{number}"><c r="{number}" s="{number}" t="{kind}"><v>{value}</v></c>{rows}</row>'
    for body in (cell, HEADER + cell.replace('<row r="1"', '<row r="7"')):
        try:
            read(book(("S", body), shared=["<t>x</t>"]))
        except UnreadableDataset as refused:
            event(refused.user_message[:30])
