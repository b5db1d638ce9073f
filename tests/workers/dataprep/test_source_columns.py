"""Parquet files, folders of `save_to_disk`, and datasets of the hub."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workers.dataprep import columnar, hub, parquet
from workers.dataprep.source import Limits, UnreadableDataset, opened

ROOT = Path(__file__).resolve().parents[3]
CHATS = [[{"role": "user", "content": f"question {n}"}, {"role": "assistant", "content": "ja"}] for n in range(50)]


def records(path, limits=Limits()):  # noqa: B008
    with opened(path, limits) as source:
        lines = source.path.read_bytes().split(b"\n")[:-1]
        return source, {source.first + n: json.loads(line) for n, line in enumerate(lines) if line}


def saved(folder, table, name="data-00000-of-00001.arrow"):
    """A folder as `save_to_disk` writes it."""
    folder.mkdir(parents=True)
    with pa.OSFile(str(folder / name), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    (folder / "dataset_info.json").write_text("{}")
    return folder


@pytest.mark.parametrize("apart", [False, True])
def test_nested_columns_become_json_values(tmp_path, monkeypatch, apart):
    monkeypatch.setattr(parquet, "_SMALL_BYTES", 0 if apart else 10**12)
    table = pa.table(
        {
            "messages": CHATS,
            "label": [n % 2 == 0 for n in range(50)],
            "score": [None, float("nan")] * 25,
            "when": [datetime(2024, 1, 2, tzinfo=UTC)] * 50,
            "price": [Decimal("1.50"), Decimal("2.00")] * 25,
            "raw": [b"text", b"\xff\xd8"] * 25,
        }
    )
    pq.write_table(table, tmp_path / "t", row_group_size=20)
    source, found = records(tmp_path / "t")
    assert (source.layout, source.unit, source.first) == ("parquet", "row", 1)
    assert source.columns == ("messages", "label", "score", "when", "price", "raw")
    assert [one["messages"] for one in found.values()] == CHATS
    assert found[2] == {
        "messages": CHATS[1],
        "label": False,
        "score": None,
        "when": "2024-01-02T00:00:00+00:00",
        "price": 2,
        "raw": "/9g=",
    }


READ = """
import resource, sys
from pathlib import Path
from workers.dataprep.source import UnreadableDataset, opened
try:
    with opened(Path(sys.argv[1])) as source:
        print([one.check for _, one in source.findings])
except UnreadableDataset as error:
    print(error.user_message.replace(chr(10), " "))
own = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))  # since the exec
print(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def read_apart(path):
    """What reading a file in a process of its own says, and the kilobytes that it and its children took at most."""
    done = subprocess.run([sys.executable, "-c", READ, path], stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    said, kilobytes = done.stdout.splitlines()
    return said, *map(int, kilobytes.split())


def bomb(path, *, in_one_row, schema):
    """A few hundred bytes that stand for three gigabytes: one text, referred to 3000 times."""
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 3000, pa.int32()), pa.array(["x" * 1_000_000]))
    if in_one_row:
        column = pa.ListArray.from_arrays(pa.array([0, 3000], pa.int32()), column)
    pq.write_table(pa.table({"text": column}), path, compression="zstd", store_schema=schema)
    assert path.stat().st_size < 2000


@pytest.mark.parametrize("in_one_row", [False, True])
@pytest.mark.parametrize("schema", [False, True])
def test_a_table_that_bursts_is_refused_or_a_finding(tmp_path, in_one_row, schema):
    bomb(tmp_path / "t", in_one_row=in_one_row, schema=schema)
    said, most, most_of_a_child = read_apart(tmp_path / "t")
    if in_one_row and schema:
        assert said == "['line_too_long']"
    else:
        assert "unpacks to more than" in said or "far more than the file" in said
    assert most < 400_000
    assert most_of_a_child < 1_200_000


def test_a_table_of_far_too_many_values_is_refused_unread(tmp_path):
    pq.write_table(pa.table({"number": [0] * 1_000_000}), tmp_path / "n")
    with pytest.raises(UnreadableDataset, match="unpacks to more than"):
        records(tmp_path / "n", Limits(free_bytes=1_000_000))


def test_refusals_and_findings_come_back_from_the_other_process(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "_SMALL_BYTES", 0)
    pq.write_table(pa.table({"text": ["a", "b" * 5000, "c"]}), tmp_path / "t")
    source, found = records(tmp_path / "t", Limits(max_line_bytes=1000))
    assert [(row, one.check) for row, one in source.findings] == [(2, "line_too_long")]
    assert list(found) == [1, 3]
    with pytest.raises(UnreadableDataset, match="1 columns; at most 0"):
        records(tmp_path / "t", Limits(max_columns=0))


def test_references_are_measured_before_they_are_followed(tmp_path):
    once = pa.array(["x" * 100_000])
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 2000, pa.int32()), once)
    nested = pa.ListArray.from_arrays(pa.array([0, 1000, 2000], pa.int32()), column)
    schema = pa.schema({"a": nested.type})
    batch = pa.RecordBatch.from_arrays([nested], schema=schema)
    assert columnar._expanded(nested) == 200_000_000
    source, found = records(saved(tmp_path / "d", pa.Table.from_batches([batch])), Limits(max_line_bytes=50_000_000))
    assert [one.check for _, one in source.findings] == ["line_too_long", "line_too_long"]
    assert found == {}


def test_a_saved_folder_is_read(tmp_path):
    source, found = records(saved(tmp_path / "d", pa.table({"messages": CHATS})))
    assert (source.layout, source.unit, source.first, source.columns) == ("folder", "row", 1, ("messages",))
    assert [one["messages"] for one in found.values()] == CHATS


def test_of_several_splits_the_one_for_training_is_read(tmp_path):
    for name, count in (("test", 5), ("train", 20)):
        saved(tmp_path / "d" / name, pa.table({"messages": CHATS[:count]}))
    (tmp_path / "d" / "dataset_dict.json").write_text('{"splits": ["test", "train"]}')
    source, found = records(tmp_path / "d")
    assert len(found) == 20
    assert [one.check for _, one in source.findings] == ["other_splits"]
    (tmp_path / "d" / "dataset_dict.json").write_text('{"splits": ["test", "other"]}')
    with pytest.raises(UnreadableDataset, match="the splits “test”, “other”"):
        records(tmp_path / "d")


def test_other_folders_are_refused_with_what_is_in_them(tmp_path):
    with pytest.raises(UnreadableDataset, match=r"It is a folder \(with nothing\)"):
        records(tmp_path)
    for name in "abcdefg":
        (tmp_path / f"{name}.jsonl").write_text("{}")
    with pytest.raises(UnreadableDataset, match=r"It is a folder \(with .*jsonl, …\).*Give the one file"):
        records(tmp_path)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ('{"_data_files": [{"filename": "../../secret"}]}', "is not in it"),
        ('{"_data_files": [{"filename": "/etc/passwd"}]}', "is not in it"),
        ('{"_data_files": [{"filename": "link"}]}', "is not in it"),
        ('{"_data_files": [{"filename": 5}]}', "is not in it"),
        ('{"_data_files": []}', "names no data files"),
        ('{"_data_files": 5}', "names no data files"),
        ("[]", "names no data files"),
        ("[" * 100_000, "cannot be read"),
        ("{", "cannot be read"),
    ],
)
def test_a_hostile_folder_reads_nothing_outside(tmp_path, state, words):
    folder = saved(tmp_path / "d", pa.table({"a": [1]}))
    (folder / "link").symlink_to(folder / "data-00000-of-00001.arrow")
    (folder / "state.json").write_text(state)
    with pytest.raises(UnreadableDataset, match=words):
        records(folder)


def test_damaged_arrow_files_are_refused(tmp_path):
    folder = saved(tmp_path / "d", pa.table({"a": ["x" * 100] * 100}))
    file = folder / "data-00000-of-00001.arrow"
    whole = file.read_bytes()
    for damaged in (b"", whole[:300], whole[: len(whole) // 2], b"\xff" * 500):
        file.write_bytes(damaged)
        with pytest.raises(UnreadableDataset, match="damaged or not complete"):
            records(folder)
    offsets = whole.index((100).to_bytes(4, "little") + (200).to_bytes(4, "little"))
    file.write_bytes(whole[:offsets] + b"\xff\xff\xff\x7f" + whole[offsets + 4 :])
    with pytest.raises(UnreadableDataset, match="damaged or not complete"):
        records(folder)


def test_a_name_of_the_hub_says_exactly_which_data():
    assert hub.parse("hf:tatsu-lab/alpaca@dce01c9") == hub.HubName("tatsu-lab", "alpaca", "dce01c9")
    named = hub.parse("hf:a/b@v1.0:test")
    assert (named.split, str(named)) == ("test", "hf:a/b@v1.0:test")


@pytest.mark.parametrize(
    "name",
    ["hf:a/b", "hf:b@main", "a/b@main", "hf:../b@main", "hf:a/b@..", "hf:a/b@a/../c", "hf:a/b@main:x/y", "hf:a/b@"],
)
def test_other_names_are_refused_with_how_one_is_written(name):
    with pytest.raises(UnreadableDataset, match="hf:owner/name@revision"):
        hub.parse(name)


def test_a_folder_under_the_configured_root_stands_for_the_hub(tmp_path):
    saved(tmp_path / "root" / "team" / "chats" / "v1" / "train", pa.table({"messages": CHATS}))
    (tmp_path / "root" / "team" / "chats" / "v1" / "dataset_dict.json").write_text('{"splits": ["train"]}')
    for name in ("hf:team/chats@v1", "hf:team/chats@v1:train"):
        folder = hub.fetched(name, tmp_path, root=tmp_path / "root")
        assert len(records(folder)[1]) == 50
    with pytest.raises(UnreadableDataset, match="no split named “other”"):
        hub.fetched("hf:team/chats@v1:other", tmp_path, root=tmp_path / "root")


def test_what_is_not_there_is_downloaded(tmp_path):
    def load(wanted, limits, out):
        assert (wanted.owner, wanted.revision) == ("team", "v2")
        saved(out, pa.table({"messages": CHATS}))

    folder = hub.fetched("hf:team/chats@v2", tmp_path, root=tmp_path, load=load)
    assert len(records(folder)[1]) == 50


def test_without_the_library_the_words_say_what_to_install(tmp_path, monkeypatch):
    def no_library(name):
        raise ImportError(name)

    monkeypatch.setattr(hub.importlib, "import_module", no_library)
    with pytest.raises(UnreadableDataset, match=r"finetune-bot\[local\]"):
        hub.fetched("hf:team/chats@v2", tmp_path)


def test_without_a_way_out_the_words_say_so(tmp_path, monkeypatch):
    class Library:
        @staticmethod
        def load_dataset_builder(name, revision):
            raise ConnectionError(name, revision)

    monkeypatch.setattr(hub.importlib, "import_module", lambda _: Library)
    with pytest.raises(UnreadableDataset, match=r"may reach huggingface\.co"):
        hub.fetched("hf:team/chats@v2", tmp_path)
