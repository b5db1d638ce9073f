"""Files of every kind: read as JSON lines, or refused in words that say what was found."""

import gzip
import io
import json
import os
import tarfile
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from workers.dataprep.json_values import strict
from workers.dataprep.source import Limits, UnreadableDataset, opened

DATA = Path(__file__).resolve().parents[2] / "data"
GOOD = json.dumps(
    {"messages": [{"role": "user", "content": "für 🥞"}, {"role": "assistant", "content": "ja"}]}, ensure_ascii=False
)


@pytest.fixture
def put(tmp_path):
    def write(content, name="file"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def zipped(members, compression=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def values(source):
    """Every record by its number, as the strict parser reads it; None for one that cannot be read."""
    lines = source.path.read_bytes()[source.offset :].split(b"\n")
    return {source.first + n: strict(line).value for n, line in enumerate(lines) if line.strip()}


@pytest.mark.parametrize(
    ("name", "layout", "count"),
    [
        ("cookbook_toy_chat.jsonl", "jsonl", 5),
        ("cookbook_drone_tools.jsonl", "jsonl", 103),
        ("cookbook_ag_news.csv", "csv", 2000),
        ("azure_tutorial_training_set.jsonl", "jsonl", 10),
        ("azureml_prompt_completion.jsonl", "jsonl", 408),
        ("foundry_gsm8k_train.jsonl", "jsonl", 449),
        ("foundry_chartqa_vision.jsonl", "jsonl", 100),
        ("foundry_orca_dpo_validation.jsonl", "jsonl", 284),
        ("foundry_rft_countdown.jsonl", "jsonl", 100),
        ("foundry_stock_toolcall.jsonl", "jsonl", 86),
        ("llamafactory_alpaca_en.json", "json", 999),
        ("llamafactory_kto_en.json", "json", 300),
        ("llamafactory_glaive_toolcall_en.json", "json", 300),
        ("fastchat_sharegpt.json", "json", 500),
        ("axolotl_missing_turns.json", "json", 1),
        ("datajuicer_demo.parquet", "parquet", 6),
        ("datajuicer_demo.tsv", "tsv", 6),
    ],
)
def test_real_files_are_read_whole_and_without_findings(name, layout, count, put):
    content = (DATA / name).read_bytes()
    with opened(DATA / name) as source:
        assert (source.layout, source.compression, source.findings) == (layout, "", ())
        plain = values(source)
        assert len(plain) == count
        assert None not in plain.values()
        if layout == "json":
            whole = json.loads(content)
            assert list(plain.values()) == (whole if isinstance(whole, list) else [whole])
        assert (source.path == DATA / name) == (layout == "jsonl")
    for packing, packed in (("gzip", gzip.compress(content, 1)), ("zip", zipped({f"a/{name}": content}))):
        with opened(put(packed)) as source:
            assert (source.layout, source.compression) == (layout, packing)
            assert values(source) == plain


@pytest.mark.parametrize(
    ("encoding", "mark", "named"),
    [
        ("utf-8", b"", "utf-8"),
        ("utf-8", b"\xef\xbb\xbf", "utf-8-sig"),
        ("utf-16-le", b"\xff\xfe", "utf-16-le"),
        ("utf-16-be", b"\xfe\xff", "utf-16-be"),
        ("utf-32-le", b"\xff\xfe\x00\x00", "utf-32-le"),
        ("utf-16-le", b"", "utf-16-le"),
        ("utf-16-be", b"", "utf-16-be"),
    ],
)
@pytest.mark.parametrize("layout", ["jsonl", "json", "csv", "text"])
def test_every_encoding_gives_the_same_records(put, encoding, mark, named, layout):
    text = {
        "jsonl": f"{GOOD}\n\n{GOOD}\r\n",
        "json": f"[{GOOD},\n{GOOD}]",
        "csv": "prompt,completion\nfür 🥞,ja\n",
        "text": "für 🥞\n",
    }[layout]
    with opened(put(text)) as source:
        plain = values(source)
    with opened(put(mark + text.encode(encoding))) as source:
        assert (source.layout, source.encoding) == (layout, named)
        assert values(source) == plain


@pytest.mark.parametrize(
    ("encoding", "named", "text"),
    [
        ("cp1252", "windows-1252", "Grüße aus dem Café – schön war’s, für 5 €"),
        ("latin-1", "windows-1252", "Où est la bibliothèque ? Là-bas, près du château"),
        ("cp1251", "windows-1251", "Привет, как дела сегодня у вас и у вашей семьи"),
        ("cp1250", "windows-1250", "Zażółć gęślą jaźń, proszę bardzo, dziękuję za wiadomość"),
        ("shift_jis", "cp932", "これは日本語の文章です。よろしくお願いします。"),
        ("gb18030", "gb18030", "你好，请问你是谁？我是一个学习中文的学生。"),
    ],
)
def test_a_legacy_encoding_is_guessed_and_said(put, encoding, named, text):
    lines = "".join(json.dumps({"text": f"{n} {text}"}, ensure_ascii=False) + "\n" for n in range(30))
    start = time.monotonic()
    with opened(put(lines.encode(encoding))) as source:
        assert source.encoding == named
        ((place, found),) = source.findings
        assert (place, found.check) == (None, "legacy_encoding")
        assert f"it was read as {named}" in found.words
        assert values(source)[30] == {"text": f"29 {text}"}
    assert time.monotonic() - start < 3


def test_lines_in_different_encodings_are_found_one_by_one(put):
    other = GOOD.replace("🥞", "").encode("cp1252")
    with opened(put((GOOD + "\n").encode() * 5 + other + b"\n")) as source:
        assert source.path.name == "file"
        assert [found.check for _, found in source.findings] == ["mixed_encoding"]
        assert [line for line, value in values(source).items() if value is None] == [6]


def test_a_large_file_is_sampled_everywhere(put):
    line = (json.dumps({"text": "plain words " * 50}) + "\n").encode()
    with opened(put(line * 10_000 + b'{"text": "caf\xe9"}\n' + line * 1)) as source:
        assert source.encoding == "windows-1252"
        assert values(source)[10_001] == {"text": "café"}
    with opened(put(("[" + ",".join([GOOD] * 30_000) + "]").encode())) as source:
        assert (source.encoding, source.findings) == ("utf-8", ())


def test_json_lines_are_read_where_they_lie_in_no_time(tmp_path):
    path = tmp_path / "large.jsonl"
    with path.open("wb") as file:
        file.write((GOOD + "\n").encode() * 10_000)
        file.truncate(3_000_000_000)  # sparse
        file.seek(0, os.SEEK_END)
    start = time.monotonic()
    with opened(path, Limits(max_bytes=4_000_000_000)) as source:
        assert (source.path, source.offset) == (path, 0)
    assert time.monotonic() - start < 0.5


def test_copies_are_removed_and_the_file_itself_never_changes(put, tmp_path):
    path = put(f"[{GOOD}]")
    before = path.read_bytes()
    inside = tmp_path / "work"
    inside.mkdir()
    with opened(path, folder=inside) as source:
        assert source.path.is_relative_to(inside)
        copy = source.path
    assert not copy.exists()
    assert list(inside.iterdir()) == []
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "records"),
    [
        ("One.\n\nTwo\nlines.\n\n\nThree.", {1: "One.", 3: "Two\nlines.", 7: "Three."}),
        ("One.\nTwo.\r\nThree.\n", {1: "One.", 2: "Two.", 3: "Three."}),
        ("\n\nOne.\n \t\nTwo.\n\n", {3: "One.", 5: "Two."}),
    ],
)
def test_plain_text_gives_paragraphs_or_lines_with_their_line_numbers(put, text, records):
    with opened(put(text)) as source:
        assert (source.layout, source.unit, source.first) == ("text", "line", 1)
        assert values(source) == {line: {"text": one} for line, one in records.items()}


def test_a_paragraph_that_is_too_long_is_a_finding(put):
    text = "a\n\n" + "word\n" * 1000 + "\nb\n"
    with opened(put(text), Limits(max_line_bytes=2000)) as source:
        assert [(line, found.check) for line, found in source.findings] == [(3, "line_too_long")]
        assert values(source) == {1: {"text": "a"}, 1004: {"text": "b"}}


def test_old_line_ends_are_read(put):
    text = GOOD + "\r" + GOOD + "\r"
    for content in (text.encode(), text.encode("utf-16"), text.replace("🥞", "").encode("cp1252")):
        with opened(put(content)) as source:
            assert len(values(source)) == 2


def test_bytes_that_no_legacy_encoding_has_do_not_spoil_the_file(put):
    text = "".join(f'{{"text": "café {n} à la carte, très bien"}}\n' for n in range(20)).encode("cp1252")
    with opened(put(text + b'{"text": "\x81"}\n')) as source:
        assert source.encoding == "windows-1252"
        assert values(source)[21] == {"text": "\x81"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "It is empty"),
        (b"\n \r\n\t", "It is empty"),
        (b"\xef\xbb\xbf", "It is empty"),
        (b"\xff\xfe\n\x00 \x00", "It is empty"),
        (gzip.compress(b""), "It is empty"),
        (b"\n<!DOCTYPE html>\n<html><body>Sign in</body></html>", "web page"),
        ("\ufeff<HTML>", "web page"),
        (b'<?xml version="1.0"?><a/>', "XML"),
        (b"{\\rtf1 hello}", "RTF"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n", "private key"),
        (b"%PDF-1.7", "PDF"),
        (b"\x89PNG\r\n", "PNG picture"),
        (b"GGUF\x03", "model file"),
        (b"\x80\x04\x95abc", "pickle"),
        (b"BZh91AY", "bzip2"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ".xls"),
        (b"SQLite format 3\x00", "SQLite"),
        (bytes(range(256)), "binary data"),
        (os.urandom(5000).replace(b"\x1f\x8b", b""), "binary data"),
        (b"\x00" * 5000, "binary data"),
        (b"\xff\xfe" + GOOD.encode("utf-16-le") + b"x", "UTF-16-LE"),
        (b"\xff\xfe" + b"\x00\xd8" * 10, "UTF-16-LE"),
        (gzip.compress(GOOD.encode())[:-9], "gzip archive is damaged"),
        (gzip.compress(GOOD.encode() * 99)[:40] + b"\xff" * 40, "gzip archive is damaged"),
        (b"\x1f\x8b", "gzip archive is damaged"),
        (zipped({"a.jsonl": GOOD})[:-30], "ZIP archive is damaged"),
        (b"PK\x03\x04....", "ZIP archive is damaged"),
        (zipped({"a.jsonl": GOOD}, zipfile.ZIP_STORED).replace(b"role", b"rule", 1), "ZIP archive is damaged"),
        (zipped({}), "ZIP archive is empty"),
        (zipped({"a/": b"", "__MACOSX/a": b"", ".DS_Store": b""}), "ZIP archive is empty"),
        (zipped({"a.jsonl": GOOD, "b.jsonl": GOOD}), "holds 2 files (a.jsonl, b.jsonl)"),
        (zipped({"../a.jsonl": GOOD}), "wants to lie outside of it (../a.jsonl)"),
        (zipped({"/etc/passwd": GOOD}), "wants to lie outside"),
        (zipped({"a\\..\\..\\b": GOOD}), "wants to lie outside"),
        (zipped({"C:/a": GOOD}), "wants to lie outside"),
        (zipped({"word/document.xml": GOOD}), "Word document"),
        (zipped({"content.xml": GOOD}), "OpenDocument"),
        (b"PAR1" + b"\x00" * 100 + b"PAR1", "Parquet file is damaged"),
        (b"PAR1", "Parquet file is damaged"),
    ],
)
def test_what_is_no_dataset_is_refused_with_words(put, content, words):
    with pytest.raises(UnreadableDataset) as refused, opened(put(content)):
        pass
    assert words in refused.value.user_message
    assert any(verb in refused.value.user_message for verb in ("Attach", "attach", "Pack", "Save"))
    assert "Error" not in refused.value.user_message


def test_an_archive_with_a_link_or_a_password_is_refused(put):
    link = zipfile.ZipInfo("a.jsonl")
    link.external_attr = 0o120777 << 16
    with pytest.raises(UnreadableDataset, match="holds a link"), opened(put(zipped({link: "/etc/passwd"}))):
        pass
    locked = bytearray(zipped({"a.jsonl": GOOD}))
    locked[6] |= 1
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(UnreadableDataset, match="password"), opened(put(bytes(locked))):
        pass


def test_a_tar_archive_is_refused(put):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.jsonl"))
    for content in (file.getvalue(), gzip.compress(file.getvalue())):
        with pytest.raises(UnreadableDataset, match="tar archive"), opened(put(content)):
            pass


def test_archives_inside_archives_are_read_once_and_no_further(put):
    inner = gzip.compress(GOOD.encode())
    with opened(put(zipped({"a.jsonl.gz": inner}))) as source:
        assert (source.compression, len(values(source))) == ("zip", 1)
    with (
        pytest.raises(UnreadableDataset, match="archive inside an archive"),
        opened(put(gzip.compress(gzip.compress(inner)))),
    ):
        pass


def test_bombs_are_refused_before_they_burst(put, tmp_path):
    limits = Limits(free_bytes=1_000_000, max_ratio=10)
    bomb = gzip.compress(b'{"a": 1}\n' * 1_000_000)
    for content in (bomb, zipped({"a": b"x" * 9_000_000}), zipped({"a.gz": bomb})):
        with pytest.raises(UnreadableDataset, match=r"holds more than 1\.0 MB"), opened(put(content), limits):
            pass
    lying = bytearray(zipped({"a": b"x" * 9_000_000}))
    place = lying.index(b"PK\x01\x02") + 24
    lying[place : place + 4] = (100).to_bytes(4, "little")  # the size that the archive claims
    with pytest.raises(UnreadableDataset), opened(put(bytes(lying)), limits):
        pass


def test_a_file_over_the_limit_is_refused_unread(put):
    limits = Limits(max_bytes=1_000_000)
    with pytest.raises(UnreadableDataset, match=r"2\.0 MB, over this installation's limit of 1\.0 MB") as refused:
        with opened(put(b"x" * 2_000_000), limits):
            pass
    assert "ask an admin" in refused.value.user_message


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path / "missing", Path("/dev/zero")):
        with pytest.raises(UnreadableDataset, match="no file that can be read"), opened(path):
            pass


def test_nul_bytes_in_one_line_are_left_to_the_strict_parser(put):
    with opened(put((GOOD + "\n") * 50 + "\x00" * 100 + "\n" + GOOD)) as source:
        assert [line for line, value in values(source).items() if value is None] == [51]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.sampled_from(
        [
            (GOOD + "\n").encode() * 3,
            f"[{GOOD},\n{GOOD}]".encode(),
            json.dumps([{"a": {"b": 1}}] * 3, indent=2).encode(),
            b'prompt,completion\n"a\nb",c\n',
            GOOD.encode("utf-16"),
            gzip.compress(GOOD.encode()),
            zipped({"a.jsonl": GOOD}),
            (DATA / "datajuicer_demo.parquet").read_bytes(),
        ]
    ),
    changes=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6), st.integers(0, 8)), max_size=5),
)
def test_whatever_is_damaged_a_file_is_read_or_refused(put, seed, changes):
    for where, new, old in changes:
        place = int(where * len(seed))
        seed = seed[:place] + new + seed[place + old :]
    try:
        with opened(put(seed)) as source:
            values(source)
            for _, found in source.findings:
                found.words.encode()
    except UnreadableDataset as refused:
        event(refused.user_message[:20])
