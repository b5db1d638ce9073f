"""A folder written by `datasets` (`save_to_disk`) -> JSON lines. Its Arrow files are read; nothing in it runs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from workers.dataprep import columnar
from workers.dataprep.checks import Found, Severity
from workers.dataprep.limits import Limits, UnreadableDataset, is_damage, megabytes
from workers.dataprep.rows import Log, Rows

_MOST_FILES = 10_000
_MOST_STATE_BYTES = 10_000_000
_SPLIT = "train"


def read(path: Path, limits: Limits, out: Path) -> Rows:
    """Write the folder's rows to `out`. Raises UnreadableDataset for any other folder."""
    log = Log(limits)
    if (path / "dataset_dict.json").is_file():
        path = _chosen_split(path, log)
    if not (path / "state.json").is_file():
        raise UnreadableDataset(_what_else(path))
    files = _files(path)
    size = sum(one.stat().st_size for one in files)
    if size > limits.max_plain_bytes:
        raise UnreadableDataset(
            f"The folder holds {megabytes(size)}; at most {megabytes(limits.max_plain_bytes)} are read."
        )
    most = min(limits.max_plain_bytes, max(limits.free_bytes, size * limits.max_ratio))
    try:
        with pa.memory_map(str(files[0])) as first:
            schema = pa.ipc.open_stream(first).schema
        return columnar.write(schema, _batches(files, schema), most, limits, out, log)
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        if not is_damage(error):
            raise
        raise UnreadableDataset(f"The folder's Arrow files are damaged or not complete. {_AGAIN}") from error


_AGAIN = "Write it again with save_to_disk, or attach the examples as JSONL or Parquet."


def _batches(files: list[Path], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for one in files:
        with pa.memory_map(str(one)) as mapped:
            stream = pa.ipc.open_stream(mapped)
            if not stream.schema.equals(schema):
                raise UnreadableDataset(f"The folder's files do not have the same columns ({one.name}). {_AGAIN}")
            for batch in stream:
                batch.validate(full=True)  # the format trusts its offsets; a reader must not
                yield batch


def _files(path: Path) -> list[Path]:
    listed = _json(path / "state.json").get("_data_files")
    entries = listed if isinstance(listed, list) else []
    files = []
    for entry in entries[:_MOST_FILES]:
        name = entry.get("filename") if isinstance(entry, dict) else None
        one = path / name if isinstance(name, str) and name == Path(name).name else None
        if one is None or one.is_symlink() or not one.is_file():
            raise UnreadableDataset(f"A data file that the folder names is not in it ({str(name)[:60]}). {_AGAIN}")
        files.append(one)
    if not files:
        raise UnreadableDataset(f"The folder names no data files. {_AGAIN}")
    return files


def _chosen_split(path: Path, log: Log) -> Path:
    listed = _json(path / "dataset_dict.json").get("splits")
    splits = (
        [one for one in listed if isinstance(one, str) and one == Path(one).name] if isinstance(listed, list) else []
    )
    if not splits:
        raise UnreadableDataset(f"The folder names no splits. {_AGAIN}")
    chosen = _SPLIT if _SPLIT in splits else splits[0]
    names = ", ".join(f"“{one[:30]}”" for one in splits[:10])
    if chosen != _SPLIT and len(splits) > 1:
        raise UnreadableDataset(f"The folder has the splits {names}, none of them “train”. Name the one to train on.")
    if len(splits) > 1:
        words = f"The folder has the splits {names}; “{chosen}” was read. Name another one to read that."
        log.add(None, Found("other_splits", words, severity=Severity.INFO))
    return path / chosen


def _json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MOST_STATE_BYTES:
            raise UnreadableDataset(f"The folder's {path.name} is far too large. {_AGAIN}")
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableDataset(f"The folder's {path.name} cannot be read. {_AGAIN}") from error
    return value if isinstance(value, dict) else {}


def _what_else(path: Path) -> str:
    names = []
    for one in path.iterdir():
        names.append(one.name[:60])
        if len(names) > 5:
            break
    listed = ", ".join(sorted(names)[:5]) + (", …" if len(names) > 5 else "") if names else "nothing"
    return (
        f"It is a folder (with {listed}), and a dataset is one file, or a folder written by save_to_disk. "
        "Give the one file to train on."
    )
