"""Columns (Parquet, Arrow) -> JSON lines: nested columns become JSON values, dates become texts.

A few kilobytes of columns can stand for gigabytes (one long text, referred to a million times), so texts stay
references until the rows that they belong to were measured.
"""

import base64
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from workers.dataprep.checks import Found
from workers.dataprep.json_values import too_long
from workers.dataprep.limits import Limits, UnreadableDataset, megabytes
from workers.dataprep.rows import Log, Rows

BATCH_ROWS = 1024
BATCH_BYTES = 64_000_000


def write(schema: pa.Schema, batches: Iterable[pa.RecordBatch], most: int, limits: Limits, out: Path, log: Log) -> Rows:
    """Write every row of some batches to `out`, at most `most` bytes. Raises UnreadableDataset beyond."""
    columns = tuple(str(name) for name in schema.names)
    if len(columns) > limits.max_columns:
        raise UnreadableDataset(f"The table has {len(columns):,} columns; at most {limits.max_columns:,} are read.")
    if len(set(columns)) < len(columns):
        raise UnreadableDataset("The table has two columns of the same name. Rename one and attach it again.")
    written, number = 0, 0
    with out.open("wb") as target:
        for record in _records(batches, limits):
            number += 1
            line = b"" if record is None else _line(record, number, log)
            if record is None or len(line) > limits.max_line_bytes:
                log.add(number, too_long(limits.max_line_bytes))
                line = b""
            written += len(line) + 1
            if written > most:
                raise UnreadableDataset(
                    f"As JSON lines the table is larger than {megabytes(most)}, far more than the file. "
                    "Attach it as JSONL, packed with gzip, or split it."
                )
            target.write(line)
            target.write(b"\n")
    return Rows(out, columns, 1, tuple(log.entries))


def _records(batches: Iterable[pa.RecordBatch], limits: Limits) -> Iterator[Mapping[str, Any] | None]:
    """The rows of some batches; None for one that is larger than an example may be."""
    for batch in batches:
        waiting = [batch]
        while waiting:
            part = waiting.pop()
            size = sum(_expanded(column) for column in part.columns)
            if part.num_rows > 1 and (size > BATCH_BYTES or part.num_rows > BATCH_ROWS):
                half = part.num_rows // 2
                waiting += [part.slice(half), part.slice(0, half)]
            elif size > limits.max_line_bytes and part.num_rows == 1:
                yield None
            else:
                yield from part.to_pylist()


def _expanded(column: pa.Array) -> int:
    """How many bytes an array takes when its references are replaced by what they refer to."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        values = column.dictionary
        if len(column) == column.null_count:
            return 0
        if not (pa.types.is_string(values.type) or pa.types.is_binary(values.type)):
            return len(column) * 16
        return int(pc.sum(pc.take(pc.binary_length(values), column.indices)).as_py() or 0)
    if pa.types.is_struct(kind):
        return sum(_expanded(inner) for inner in column.flatten())
    if pa.types.is_map(kind):
        return _expanded(column.keys) + _expanded(column.items)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _expanded(column.flatten())
    return int(column.nbytes)


def _line(record: Mapping[str, Any], number: int, log: Log) -> bytes:
    try:
        return orjson.dumps(record, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, ValueError, OverflowError, RecursionError):
        words = "The row has values that cannot be written as JSON (half characters or huge numbers). Leave it out."
        log.add(number, Found("unwritable_row", words, fix="drop"))
        return b""


def _plain(value: Any) -> Any:
    """Values that JSON has no word for. Bytes that are no text (a picture) are written as base64."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    if isinstance(value, Decimal):
        return int(value) if abs(value) < 2**63 and value == value.to_integral_value() else float(value)
    return str(value)
