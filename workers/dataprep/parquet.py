"""Parquet -> JSON lines. Large tables are read in a process of their own, whose memory and time are bounded:

    python -m workers.dataprep.parquet TABLE OUT MOST_BYTES LIMITS   (a JSON object; the answer is one, too)

A few kilobytes of Parquet can stand for any amount of text (one long value, referred to again and again), which only
shows while it is decoded, in native code.
"""

import json
import resource
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from workers.dataprep import columnar
from workers.dataprep.checks import Found, Severity
from workers.dataprep.limits import WANTED, Limits, UnreadableDataset, is_damage, megabytes
from workers.dataprep.rows import Log, Rows

_MOST_DEPTH = 50
_SMALL_BYTES = 64_000_000
_MEMORY_BYTES = 1_000_000_000
_SECONDS = 900
_BOUNDS = {"thrift_string_size_limit": 100_000_000, "thrift_container_size_limit": 1_000_000}
_DAMAGED = f"The Parquet file is damaged or was cut off. {WANTED}"
_PROBLEMS = (pa.ArrowException, OSError, ValueError, OverflowError)


def read(path: Path, limits: Limits, out: Path) -> Rows:
    """Write the table's rows to `out`. Raises UnreadableDataset for damage and for what unpacks to far too much."""
    most = min(limits.max_plain_bytes, max(limits.free_bytes, path.stat().st_size * limits.max_ratio))
    try:
        with pq.ParquetFile(path, **_BOUNDS) as table:
            worst = _worst_case(table.metadata, most)
    except _PROBLEMS as error:
        if not is_damage(error):
            raise
        raise UnreadableDataset(_DAMAGED) from error
    return _read(path, limits, most, out) if worst < _SMALL_BYTES else _read_apart(path, limits, most, out)


def _worst_case(about: pq.FileMetaData, most: int) -> int:
    """How many bytes the table may take in memory at worst. Raises UnreadableDataset for far too much at best."""
    unpacked = values = worst = 0
    for group in range(about.num_row_groups):
        chunks = about.row_group(group)
        for place in range(chunks.num_columns):
            chunk = chunks.column(place)
            unpacked += chunk.total_uncompressed_size
            values += chunk.num_values
            is_text = chunk.physical_type == "BYTE_ARRAY"
            worst += chunk.num_values * (chunk.total_uncompressed_size if is_text else 16)
            if chunk.path_in_schema.count(".") > _MOST_DEPTH:
                raise UnreadableDataset(f"Its columns are nested more than {_MOST_DEPTH} deep. {WANTED}")
    if unpacked > most or values * 2 > most:
        raise _too_much(most)
    return worst


def _too_much(most: int) -> UnreadableDataset:
    return UnreadableDataset(
        f"The Parquet file unpacks to more than {megabytes(most)}, or to rows that are far too large. "
        "Attach it as JSONL, packed with gzip, or split it."
    )


def _read(path: Path, limits: Limits, most: int, out: Path) -> Rows:
    try:
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20, **_BOUNDS) as table:
            about = table.metadata
            size = sum(about.row_group(group).total_byte_size for group in range(about.num_row_groups))
            rows = columnar.BATCH_BYTES * max(1, about.num_rows) // max(1, size)
            batches = table.iter_batches(min(columnar.BATCH_ROWS, max(1, rows)), use_threads=False)
            return columnar.write(table.schema_arrow, batches, most, limits, out, Log(limits))
    except (MemoryError, pa.ArrowMemoryError) as error:
        raise _too_much(most) from error
    except _PROBLEMS as error:
        if not is_damage(error):
            raise
        raise UnreadableDataset(_DAMAGED) from error


def _read_apart(path: Path, limits: Limits, most: int, out: Path) -> Rows:
    command = [sys.executable, "-m", __name__, str(path), str(out), str(most), json.dumps(asdict(limits))]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
        answer = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise _too_much(most) from error
    if "refused" in answer:
        raise UnreadableDataset(answer["refused"])
    findings = [(row, Found(**{**found, "severity": Severity(found["severity"])})) for row, found in answer["findings"]]
    return Rows(out, tuple(answer["columns"]), 1, tuple(findings))


def _main(path: str, out: str, most: str, limits: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pa.set_memory_pool(pa.system_memory_pool())  # the others reserve more than they use
    try:
        rows = _read(Path(path), Limits(**json.loads(limits)), int(most), Path(out))
        answer = {"columns": rows.columns, "findings": [(row, asdict(found)) for row, found in rows.findings]}
    except UnreadableDataset as refused:
        answer = {"refused": refused.user_message}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    _main(*sys.argv[1:])
