"""Mutated files of every kind: each is checked, or refused in words; nothing crashes, nothing hangs.

500 inputs in `make test`, 10,000 in `make fuzz`; the same ones every time. They are judged in processes of their own,
so that a crash of a native library is seen.
"""

import gzip
import io
import json
import random
import signal
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from workers.dataprep import convert, fixes
from workers.dataprep.analysis import lines_to_leave_out
from workers.dataprep.checks.catalogue import fixable
from workers.dataprep.formats import detect
from workers.dataprep.parallel import cores, each
from workers.dataprep.report import check_file
from workers.dataprep.source import Limits, opened
from workers.errors import UserError

DATA = Path(__file__).parents[2] / "data"
MOST_SECONDS = 20
LIMITS = Limits(max_bytes=3_000_000)
MOST_SEED_BYTES = 40_000
WORDS = [b'"messages"', b'"role"', b'{"a":' * 500, b"[" * 2000, b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"NaN", b"1e999",
         b"9" * 400, b"\\ud800", b"\r", b"\n\n\n", b'"', b",", b"\t", b"=1+1", b"PK\x03\x04", b"PAR1", b"\x1f\x8b",
         b"<html>", b"\xef\xbb\xbf", b"null", b"{}", b"[]", b'{"role":1,"role":2}', b"\xe2\x80\xa8"]  # fmt: skip


@dataclass(frozen=True)
class Input:
    """One mutated file: reproducible from its number."""

    number: int
    folder: Path


def seeds() -> list[bytes]:
    """Small files of every kind."""
    made = [path.read_bytes()[:MOST_SEED_BYTES] for path in sorted(DATA.iterdir()) if path.suffix != ".md"]
    chat = made[0]
    rows = "question,answer\n" + "".join(f'"What is {n}?","It is\n{n}, ""yes"""\n' for n in range(30))
    made += [gzip.compress(chat), zipped("a.jsonl", chat), zipped("b.csv", rows.encode()), rows.encode()]
    made += [rows.encode("utf-16"), rows.encode("utf-16-be"), rows.replace("is", "ïs").encode("cp1252")]
    made += [workbook(), table()]
    made += [json.dumps([{"prompt": "a", "completion": str(n)} for n in range(20)]).encode()]
    return made


def zipped(name: str, data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return out.getvalue()


def workbook() -> bytes:
    """The least that is an XLSX file."""
    rows = "".join(
        f'<row r="{n}"><c r="A{n}" t="inlineStr"><is><t>q{n}</t></is></c><c r="B{n}"><f>1+{n}</f><v>{n}</v></c></row>'
        for n in range(1, 12)
    )
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    parts = "http://schemas.openxmlformats.org/package/2006"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    types = "application/vnd.openxmlformats-package.relationships+xml"
    files = {
        "[Content_Types].xml": f'<Types xmlns="{parts}/content-types"><Default Extension="xml" ContentType='
        f'"application/xml"/><Default Extension="rels" ContentType="{types}"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{parts}/relationships"><Relationship Id="r1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets><sheet name="Data" sheetId="1" '
        'r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{parts}/relationships"><Relationship Id="r1" '
        f'Type="{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>',
    }  # fmt: skip
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()


def table() -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    column = [[{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": "a"}] for n in range(20)]
    pq.write_table(pa.table({"messages": column, "id": list(range(20))}), out)
    return out.getvalue()


def mutated(data: bytes, draw: random.Random, others: list[bytes]) -> bytes:
    """The file after one to six changes."""
    changed = bytearray(data)
    changes: list[Callable[[int], None]] = [
        lambda at: changed.__setitem__(slice(at, at + 1), bytes([draw.randrange(256)])),
        lambda at: changed.__setitem__(slice(at, at + draw.randint(1, 300)), b""),
        lambda at: changed.__setitem__(slice(at, at), draw.choice(WORDS)),
        lambda at: changed.__setitem__(slice(at, at), changed[at : at + draw.randint(1, 2000)] * draw.randint(1, 4)),
        lambda at: changed.__setitem__(slice(at, None), b""),
        lambda at: changed.__setitem__(slice(at, None), draw.choice(others)[at:]),
    ]
    for _ in range(draw.randint(1, 6)):
        draw.choices(changes, weights=[6, 4, 6, 2, 1, 1])[0](draw.randrange(len(changed) + 1))
    return bytes(changed)


def judged(one: Input) -> str:
    """What became of the input; raises what must not happen, with its number."""
    draw = random.Random(one.number)
    known = seeds()
    path = one.folder / f"{one.number}.data"
    path.write_bytes(mutated(draw.choice(known), draw, known))
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(MOST_SECONDS)
    try:
        return outcome(path, draw)
    except Exception as error:
        raise AssertionError(f"input {one.number}: {type(error).__name__}: {error}") from error
    finally:
        signal.alarm(0)
        path.unlink()


def too_long(*_: object) -> None:
    raise TimeoutError(f"more than {MOST_SECONDS} s")


def outcome(path: Path, draw: random.Random) -> str:
    try:
        report = check_file(path, limits=LIMITS, processes=1)
    except UserError as error:
        return "refused" if 20 < len(error.user_message) < 1500 else f"refused without words: {error}"
    found = json.loads(json.dumps(report.to_json()))
    assert sum(found["counts"].values()) >= len(found["findings"])
    assert all(one["message"] and one["check"] in found["counts"] for one in found["findings"])
    out = path.with_suffix(".out")
    try:
        with opened(path, LIMITS) as source:
            detected = detect(source)
            drop = lines_to_leave_out(source, detected, {"exact_duplicate", "reference_missing"}, LIMITS)
            fixes.apply(source, detected, [*set(found["fixes"]).intersection(fixable())], drop, out)
        convert.convert_file(path, draw.choice(sorted(convert.TARGETS)), out)
    except UserError:
        return "has errors"  # such as: nothing would be left
    finally:
        out.unlink(missing_ok=True)
    return "trainable" if report.trainable else "has errors"


def fuzz(folder: Path, numbers: range) -> dict[str, int]:
    counts: dict[str, int] = {}
    for became in each(judged, [Input(number, folder) for number in numbers], cores()):
        counts[became] = counts.get(became, 0) + 1
    assert not list(folder.iterdir())
    assert not [one for one in counts if "without" in one], counts
    return counts


@pytest.mark.timeout(240)
def test_500_mutated_files(tmp_path):
    counts = fuzz(tmp_path, range(500))
    assert min(counts.get(one, 0) for one in ("refused", "has errors", "trainable")) > 10, counts


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_10_000_mutated_files(tmp_path):
    counts = fuzz(tmp_path, range(500, 10_500))
    print(counts)
    assert sum(counts.values()) == 10_000
