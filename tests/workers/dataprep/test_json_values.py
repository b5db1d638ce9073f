"""One line of bytes: its value, and everything that a fast parser would pass over."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.dataprep import json_values
from workers.dataprep.checks import Severity
from workers.dataprep.json_values import mended, strict

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | st.sampled_from(['{"a": 1}', '":', '\\":', "a :b", ":)", '\\"', "\\u0000 spelt out"]),
    lambda inner: st.lists(inner) | st.dictionaries(TEXT | st.sampled_from(["role", "a\\", '"', "a:"]), inner),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("line", "check", "words"),
    [
        (b'{"a": "x"', "invalid_json", "character 10: a comma or a closing bracket is missing"),
        (b"{'a': 1}", "invalid_json", "character 2: a single quote stands there"),
        (b'{"a": 1},', "invalid_json", "a comma stands behind the example"),
        (b'{"a": 1} {"a": 2}', "invalid_json", "the example is complete before it"),
        (b'{"a" 1}', "invalid_json", "a colon is missing behind the key; `1` stands there"),
        (b'{"a": 1,}', "invalid_json", "a key in double quotes is missing; `}` stands there"),
        (b"[1,]", "invalid_json", "a value is missing; `]` stands there"),
        (b'"a\tb"', "invalid_json", "a tab stands inside a text"),
        (b'"a\rb"', "invalid_json", "a line break stands inside a text"),
        (b'"\\x"', "invalid_json", "a backslash stands before a character that cannot be escaped"),
        (b'"abc', "invalid_json", "never ends"),
        (b"hello", "invalid_json", "a value is missing; `h` stands there"),
        (b'{"messages": "caf\xe9"}', "invalid_utf8", "byte E9 at byte 18 is not valid UTF-8 text. In Windows-1252"),
        (b'{"a": NaN}', "not_a_number", "NaN stands where a number should be"),
        (b'{"a": -Infinity}', "not_a_number", "-Infinity stands"),
        (b'{"a": 18446744073709551616}', "number_too_big", "18446744073709551616 does not fit into 64 bits"),
        (b'{"a": -9223372036854775809}', "number_too_big", "does not fit into 64 bits"),
        (b'{"a": ' + b"9" * 5000 + b"}", "number_too_big", "(5000 digits)"),
        (b'{"a": 1e999}', "number_too_big", "1e999"),
        (b'{"a": "x\x00y"}', "nul_character", "A NUL byte stands at byte 9"),
        (b'{"a": "x\\u0000y"}', "nul_character", "stands in `a`"),
        (b'{"a": "x\\ud83ey"}', "lone_surrogate", "\\ud83e) stands in `a`"),
        (b'{"a\\uDE00": 1}', "lone_surrogate", "Half a character"),
        (b'{"a": ' * 10_000 + b"1" + b"}" * 10_000, "too_deep", "more than 100 deep"),
        (b"[" * 10_000, "too_deep", "more than 100 deep"),
        (b"[" * 101 + b"]" * 101, "too_deep", "more than 100 deep"),
        (b'{"a": 1, "b": 2, "a": 3}', "duplicate_key", "The key `a` stands there twice: only"),
        (b'{"a": 1, "b": 2, "\\u0061" : 3}', "duplicate_key", "The key `a` stands there twice: only"),
        (b'{"x": {"a": 1, "a": 1}}', "duplicate_key", "twice in `x`"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(line, check, words):
    parsed = strict(line)
    assert [one.check for one in parsed.founds] == [check]
    assert words in parsed.founds[0].words
    assert parsed.founds[0].severity is Severity.ERROR
    assert parsed.founds[0].fix in ("drop", "re-encode")


def test_a_key_that_stands_twice_is_found_at_every_level_with_its_message():
    line = b'{"messages": [{"role": "user"}, {"role": "a", "x": {"k": 1, "k": 2}, "role": "b"}], "id": 1, "id": 2}'
    parsed = strict(line)
    assert parsed.value["messages"][1] == {"role": "b", "x": {"k": 2}}
    assert [(one.message, one.words.split(":")[0]) for one in parsed.founds] == [
        (None, "The key `id` stands there twice"),
        (2, "The key `role` stands there twice"),
        (2, "The key `k` stands there twice in `messages[2].x`"),
    ]


def test_characters_are_found_in_their_message_with_the_place_marked():
    (found,) = strict(b'{"messages": [{"role": "user", "content": "hello \\u0000 there"}]}').founds
    assert (found.message, found.excerpt) == (1, "hello »␀« there")
    (found,) = strict(b'{"messages": [{"content": "a"}, {"content": "\\ud83e"}]}').founds
    assert (found.message, "messages[2].content" in found.words) == (2, True)


def test_the_excerpt_marks_the_place():
    (found,) = strict(b'{"answer": "caf\xe9 au lait"}').founds
    assert found.excerpt == '{"answer": "caf»é« au lait"}'
    (found,) = strict(b'{"answer": nothing}').founds
    assert found.excerpt == '{"answer": »n«othing}'


def test_a_last_line_without_its_end_seems_cut_off():
    assert "cut off" in strict(b'{"messages": [{"role": "us', cut=True).founds[0].words
    assert "cut off" in strict(b'{"messages": [{"role": "user"}', cut=True).founds[0].words
    assert "cut off" not in strict(b'{"messages": [{"role": "us').founds[0].words
    assert "cut off" not in strict(b'{"messages": oops}', cut=True).founds[0].words


def test_what_is_no_json_value_has_none_and_what_is_doubtful_keeps_it():
    for line in (b"{", b'"\xff"', b"NaN", b'{"a": "\\ud83e"}', b"[" * 200, b""):
        assert strict(line).value is None
    assert strict(b'{"a": 1, "a": 2}').value == {"a": 2}
    assert strict(b'{"a": "\\u0000"}').value == {"a": "\x00"}


@pytest.mark.parametrize(
    "line",
    [
        b'{"a": 18446744073709551615, "b": -9223372036854775808, "c": 0.5, "d": 1e300, "e": -0}',
        b' {"a" : 1 , "b"\t: 2}\r',
        b'{"a": "\\ud83e\\udd5e \\u00e9"}',
        b'{"arguments": "{\\"city\\": \\"x\\"}", "a\\\\": 1}',
        '{"für": "🥞 : \\":"}'.encode(),
        b"[" * 100 + b"]" * 100,
        b"null",
    ],
)
def test_what_is_right_has_no_findings(line):
    assert strict(line) == (json.loads(line), ())


@given(value=JSON, ascii_only=st.booleans(), separators=st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")]))
def test_any_value_comes_back_as_it_was_without_findings(value, ascii_only, separators):
    line = json.dumps(value, ensure_ascii=ascii_only, separators=separators).encode()
    assert strict(line) == (value, ())


@settings(max_examples=40)
@given(value=st.dictionaries(TEXT, JSON, min_size=1), spaced=st.sampled_from([":", " :", ": "]), data=st.data())
def test_a_key_that_stands_twice_is_found_whatever_else_the_line_holds(value, spaced, data):
    key = data.draw(st.sampled_from(sorted(value)))
    again = json.dumps(key, ensure_ascii=data.draw(st.booleans()))
    line = json.dumps(value)[:-1] + f", {again}{spaced}1}}"
    assert "duplicate_key" in [one.check for one in strict(line.encode()).founds]


@given(st.binary(max_size=200))
def test_any_bytes_are_judged_in_words(line):
    parsed = strict(line)
    assert parsed.value is not None or parsed.founds or json.loads(line) is None
    for found in parsed.founds:
        found.words.encode()
        found.excerpt.encode()


def test_large_lines_are_bounded(monkeypatch):
    monkeypatch.setattr(json_values, "MOST_LINE_BYTES", 6_000_000)
    assert strict(b'"' + b"x" * 5_000_000 + b'"').founds == ()
    assert strict(b'"' + b"x" * 6_000_000 + b'"').founds[0].check == "line_too_long"
    start = time.monotonic()
    assert strict(b"[" + b"[]," * 1_700_000 + b"[]]").founds[0].check == "too_many_values"
    assert strict(b"[" + b'{"a":1,"a":2},' * 100_000 + b"0]").founds[0].check == "duplicate_key"
    assert strict(b'"' + b"\\" * 5_000_001 + b'"').founds[0].check == "invalid_json"
    assert strict(b'"' + b"[" * 5_000_000 + b'"').founds == ()
    assert time.monotonic() - start < 20


def test_bytes_that_are_no_utf8_are_taken_as_windows_1252():
    assert mended("für ".encode() + "café – “x”".encode("cp1252")) == "für café – “x”".encode()
    assert mended(b"plain") == b"plain"
    assert mended(b"\x81") == "\N{REPLACEMENT CHARACTER}".encode()
