"""Files by key: whole or not at all, inside the root or not at all."""

import os
from pathlib import Path

import pytest

from workers import storage as storage_module
from workers.storage import BadKey, Storage


@pytest.fixture(params=["file", "memory"])
def storage(request, tmp_path):
    place = tmp_path / "files" if request.param == "file" else Path(f"/{tmp_path.name}")
    return Storage(f"{request.param}://{place}")


@pytest.fixture
def local(tmp_path):
    return Storage(f"file://{tmp_path / 'files'}")


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(b"recipes")
    return path


def test_what_is_put_can_be_got(storage, source, tmp_path):
    storage.put("datasets/1/train.jsonl", source)
    storage.get("datasets/1/train.jsonl", tmp_path / "new" / "copy")
    assert (tmp_path / "new" / "copy").read_bytes() == b"recipes"
    with storage.open("datasets/1/train.jsonl") as file:
        assert file.read() == b"recipes"
    assert storage.exists("datasets/1/train.jsonl")
    assert storage.list("datasets") == ["datasets/1/train.jsonl"]
    assert storage.list() == ["datasets/1/train.jsonl"]


def test_putting_again_replaces(storage, source, tmp_path):
    storage.put("a", source)
    source.write_bytes(b"newer")
    storage.put("a", source)
    with storage.open("a") as file:
        assert file.read() == b"newer"


def test_deleting_takes_what_is_under_the_key_and_no_more(storage, source):
    for key in ("runs/1/a", "runs/1/b/c", "runs/12/a"):
        storage.put(key, source)
    storage.delete("runs/1")
    storage.delete("runs/7")
    assert storage.list() == ["runs/12/a"]
    assert not storage.exists("runs/1")


def test_what_is_not_there_is_said_to_be_missing(storage, tmp_path):
    with pytest.raises(FileNotFoundError):
        storage.get("nothing", tmp_path / "copy")
    with pytest.raises(FileNotFoundError):
        storage.open("nothing")
    with pytest.raises(FileNotFoundError):
        storage.get_folder("nothing", tmp_path / "copies")
    assert storage.list("nothing") == []
    assert list(tmp_path.glob(".*partial")) == []


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "../up",
        "a/../../up",
        "a//b",
        "a/./b",
        "..",
        "a/",
        "a\\b",
        "a b",
        "a\n",
        "~/x",
        "a\0",
        "x" * 201,
    ],
)
def test_bad_keys_are_refused_everywhere(local, source, tmp_path, key):
    for act in (
        lambda: local.put(key, source),
        lambda: local.get(key, tmp_path / "copy"),
        lambda: local.open(key),
        lambda: local.exists(key),
        lambda: local.delete(key),
        lambda: local.put_folder(key, tmp_path),
    ):
        with pytest.raises(BadKey):
            act()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["source"]


def test_folders_go_and_come_without_links(storage, tmp_path):
    folder = tmp_path / "adapter"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "weights.safetensors").write_bytes(b"w")
    (folder / "config.json").write_text("{}")
    (tmp_path / "secret").write_text("s")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "linked").symlink_to(tmp_path, target_is_directory=True)
    storage.put_folder("models/1", folder)
    assert storage.list("models/1") == ["models/1/config.json", "models/1/deep/weights.safetensors"]
    storage.get_folder("models/1", tmp_path / "back")
    assert (tmp_path / "back" / "deep" / "weights.safetensors").read_bytes() == b"w"


def test_a_broken_copy_leaves_the_old_file_and_no_traces(local, source, tmp_path, monkeypatch):
    local.put("a", source)

    def full(_number):
        raise OSError(28, "No space left on device")

    source.write_bytes(b"newer")
    monkeypatch.setattr(storage_module.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        local.put("a", source)
    assert local.list() == ["a"]
    assert os.listdir(tmp_path / "files") == ["a"]
    with local.open("a") as file:
        assert file.read() == b"recipes"


def test_what_is_being_written_is_not_listed(local, source, tmp_path):
    local.put("a", source)
    (tmp_path / "files" / ".0123.partial").write_bytes(b"half")
    assert local.list() == ["a"]
