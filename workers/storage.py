"""Files by key, in a folder or any object store that fsspec reaches.

A key is a relative path of plain segments ("datasets/12/train.jsonl"). A file appears whole or not at all.
"""

import os
import re
import shutil
import uuid
from pathlib import Path
from typing import BinaryIO, cast

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs

_SEGMENT = re.compile(r"[A-Za-z0-9_.+=@-]{1,200}")


class BadKey(ValueError):
    """The key is not a relative path of plain segments."""


class Storage:
    """Files of one installation, under one URL ("file:///…", "s3://bucket/prefix", …)."""

    def __init__(self, url: str) -> None:
        filesystem, root = url_to_fs(url)
        self._fs = cast(AbstractFileSystem, filesystem)
        self._root = str(root).rstrip("/")
        self._local = "file" in (self._fs.protocol if isinstance(self._fs.protocol, tuple) else (self._fs.protocol,))

    def put(self, key: str, path: Path) -> None:
        """Store a file, replacing what the key held."""
        target = self._path(key)
        if self._local:
            _copy_durably(path, Path(target))
        else:
            self._fs.put_file(str(path), target)

    def get(self, key: str, path: Path) -> None:
        """Copy a file to this path, whose folder is made. Raises FileNotFoundError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = _beside(path)
        try:
            self._fs.get_file(self._path(key), str(partial))
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def open(self, key: str) -> BinaryIO:
        """Open a file for reading. Raises FileNotFoundError."""
        return cast(BinaryIO, self._fs.open(self._path(key), "rb"))

    def put_folder(self, key: str, folder: Path) -> None:
        """Store every file of a folder under the key; links are left out."""
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                self.put(f"{key}/{path.relative_to(folder).as_posix()}", path)

    def get_folder(self, key: str, folder: Path) -> None:
        """Copy what is under the key into a folder, which is made. Raises FileNotFoundError."""
        names = self.list(key)
        if not names:
            raise FileNotFoundError(key)
        for name in names:
            self.get(name, folder / name.removeprefix(f"{key}/"))

    def exists(self, key: str) -> bool:
        """Whether there is a file, or any file under the key."""
        return bool(self._fs.exists(self._path(key)))

    def delete(self, key: str) -> None:
        """Remove a file, or everything under the key. Nothing there is nothing to do."""
        if self.exists(key):
            self._fs.rm(self._path(key), recursive=True)

    def list(self, prefix: str = "") -> list[str]:
        """The keys of all files under a key, sorted."""
        base = self._path(prefix) if prefix else self._root
        found = [str(name)[len(self._root) + 1 :] for name in self._fs.find(base)]
        return sorted(name for name in found if not name.endswith(_PARTIAL))

    def _path(self, key: str) -> str:
        segments = key.split("/")
        if not all(_SEGMENT.fullmatch(one) and one.strip(".") for one in segments):
            raise BadKey(f"not a storage key: {key[:200]!r}")
        return "/".join([self._root, *segments])


_PARTIAL = ".partial"


def _beside(path: Path) -> Path:
    return path.with_name(f".{uuid.uuid4().hex}{_PARTIAL}")


def _copy_durably(source: Path, target: Path) -> None:
    """Copy so that after a power cut the target is the old file or the whole new one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = _beside(target)
    try:
        with source.open("rb") as reader, partial.open("xb") as writer:
            shutil.copyfileobj(reader, writer, 1 << 20)
            writer.flush()
            os.fsync(writer.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
