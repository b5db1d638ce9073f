"""JSON documents: arrays and objects over several lines become one element a line, whole or broken."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workers.dataprep import json_array, json_structure
from workers.dataprep.json_array import Shape, shape
from workers.dataprep.json_values import strict
from workers.dataprep.source import opened

MARKS = st.text(st.sampled_from(list('[]{},:"\\ab \n\té')), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | MARKS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(MARKS, inner, max_size=4),
    max_leaves=15,
)
OBJECT = st.dictionaries(MARKS, JSON, min_size=1, max_size=3)
STYLE = st.sampled_from(
    [
        {},
        {"separators": (",", ":")},
        {"indent": 2},
        {"indent": "\t", "separators": (" ,\n ", " : ")},
        {"ensure_ascii": False, "indent": 1},
    ]
)


def elements(path):
    with opened(path) as source:
        lines = source.path.read_bytes()[source.offset :].split(b"\n")
        return source, [strict(line).value for line in lines if line.strip()]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    records=st.lists(JSON, min_size=1, max_size=6),
    style=STYLE,
    size=st.integers(1, 40),
    around=st.sampled_from(["", "\n", " \n\n\t"]),
)
def test_an_array_gives_its_elements_whatever_its_spacing_and_the_blocks(tmp_path, records, style, size, around):
    path = tmp_path / "a.json"
    path.write_text(around + json.dumps(records, **style) + around, encoding="utf-8")
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_array, "BLOCK_BYTES", size)
        assert json_array.split(path, 0, Shape.ARRAY, out) == ()
    lines = [line for line in out.read_bytes().split(b"\n") if line.strip()]
    assert [json.loads(line) for line in lines] == records
    assert all(line.strip() for line in out.read_bytes().split(b"\n")[: len(records)])  # numbers stay right


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    records=st.lists(OBJECT, min_size=1, max_size=5),
    size=st.integers(1, 40),
    between=st.sampled_from(["\n", "\r\n \n"]),
)
def test_objects_over_several_lines_are_one_each(tmp_path, records, size, between):
    path = tmp_path / "a.json"
    path.write_bytes(between.join(json.dumps(one, indent=2) for one in records).encode())
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_array, "BLOCK_BYTES", size)
        assert json_array.split(path, 0, Shape.OBJECTS, out) == ()
    lines = out.read_bytes().split(b"\n")[: len(records)]
    assert [json.loads(line) for line in lines] == records


@given(text=st.text(st.sampled_from(list('[]{},"\\x\n'))), size=st.integers(1, 10))
def test_marks_do_not_depend_on_where_the_blocks_end(text, size):
    import numpy as np

    data = np.frombuffer(text.encode(), dtype=np.uint8)
    whole = json_structure.Structure().marks(data)
    structure = json_structure.Structure()
    places, depths = [], []
    for start in range(0, len(data), size):
        marks = structure.marks(data[start : start + size])
        places += (marks.places + start).tolist()
        depths += marks.depths.tolist()
    assert (places, depths) == (whole.places.tolist(), whole.depths.tolist())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"a": 1}\n{"a": 2}\n', "lines"),
        (b'{"a": 1}', "lines"),
        (b'\n\n{"a": 1}\r\n\r\n{"a": 2}', "lines"),
        (b'{"a": 1\n{"a": 2}\n', "lines"),
        (b'{"a": 1', "lines"),
        (b'{"a": {"b": 1}\n{"a": {"b": 2}}\n', "lines"),
        (b'ole": "user"}]}\n{"a": 1}\n{"a": 2}\n', "lines"),
        (b"[1]\n[2]\n", "lines"),
        (b'[{"a": 1}]', "array"),
        (b'[\n{"a": 1},\n{"a": 2}\n]\n', "array"),
        (b'[{"a": 1},\n{"a": 2}]\n', "array"),
        (b"[", "array"),
        (b'{\n  "a": 1\n}\n', "objects"),
        (b'{"a": [\n  {"b": 1},\n  {"b": 2}\n]}\n{"a": [\n]}', "objects"),
        (b'{\n  "a": 1\n}\n{\n  "a": ', "objects"),
        (b'{\n  "a": [\n    {"b": 1},\n    {"b"', "objects"),
        (b"hello", None),
        (b"a,b\n1,2\n", None),
    ],
)
def test_how_json_is_laid_out_is_seen_from_its_beginning(text, expected):
    assert shape(text, more=False) == expected


def test_numbers_count_elements(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b'[\n  {"a": 1},\n  {"a": oops},\n  {"a": 3}\n]')
    with opened(path) as source:
        assert (source.unit, source.first, source.layout, source.findings) == ("element", 1, "json", ())
        lines = source.path.read_bytes().split(b"\n")
    assert [strict(line).value for line in lines[:3]] == [{"a": 1}, None, {"a": 3}]
    assert b"oops" in lines[1]


@pytest.mark.parametrize("indent", [None, 2])
def test_one_broken_element_does_not_spoil_the_others(tmp_path, indent):
    path = tmp_path / "a.json"
    records = [{"id": str(number), "turns": [{"from": "a, b"}, {"from": "}"}]} for number in range(50)]
    text = json.dumps(records, indent=indent)
    path.write_text(text.replace('"7"', '"7'))
    source, values = elements(path)
    assert len(values) == 50
    assert [number for number, value in enumerate(values) if value is None] == [7]
    assert values[8:] == records[8:]
    ((place, found),) = source.findings
    assert (place, found.check) == (None, "broken_document")
    assert "Every example that can be read on its own was kept." in found.words


def test_an_array_that_was_cut_off_keeps_what_is_whole(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"a": 1}, {"a": 2}, {"a": 3}], indent=2)[:-8])
    source, values = elements(path)
    assert values == [{"a": 1}, {"a": 2}, None]
    assert "it ends in the middle of element 3" in source.findings[0][1].words


def test_several_arrays_and_what_follows_are_not_lost(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b'[{"a": 1},\n {"a": 2}]\n[{"a": 3}]\nrubbish')
    _, values = elements(path)
    assert values == [{"a": 1}, {"a": 2}, {"a": 3}, None]


def test_a_line_break_inside_a_text_is_found(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b'[\n  {"a": "x\ny"},\n  {"a": "z"}\n]')
    with opened(path) as source:
        assert "a line break stands inside a text" in source.findings[0][1].words
        first, second = source.path.read_bytes().split(b"\n")[:2]
    assert "a line break stands inside a text" in strict(first).founds[0].words
    assert strict(second).value == {"a": "z"}


def test_an_empty_array_has_no_elements(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"[ ]\n")
    assert elements(path)[1] == []
