"""Files of any bytes, and the report of them."""

import json
from pathlib import Path

import pytest

from workers.dataprep import quick
from workers.dataprep.analysis import rules_of
from workers.dataprep.blocks import blocks
from workers.dataprep.formats import detect
from workers.dataprep.limits import Limits
from workers.dataprep.report import check_file
from workers.dataprep.scan import scan
from workers.dataprep.source import opened

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def examples():
    """The folder with the cookbook's two recipe files."""
    return ROOT / "examples"


@pytest.fixture
def data():
    """The folder with small real datasets."""
    return ROOT / "tests" / "data"


@pytest.fixture
def put(tmp_path):
    """Write a file: bytes, text, or records as JSONL."""

    def write(content, name="file.jsonl"):
        path = tmp_path / name
        if isinstance(content, list):
            content = "".join(json.dumps(one) + "\n" for one in content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def checked(put):
    """The report of such a file."""

    def check(content, **options):
        return check_file(put(content), **options)

    return check


def _report(path, **options):
    return json.loads(json.dumps(check_file(path, **options).to_json()))


def _parts(path):
    with opened(path) as source:
        rules = rules_of(source, detect(source), Limits())
        return [scan(rules, block) for block in blocks(source.path, source.offset)]


@pytest.fixture
def comparable():
    """A file's report as plain JSON."""
    return _report


@pytest.fixture
def both(monkeypatch):
    """Holds that the quick way says of a file what the exact way alone says, down to every example's numbers."""

    def compare(path, **options):
        quickly, parts = _report(path, **options), _parts(path)
        with monkeypatch.context() as patch:
            patch.setattr(quick, "has_shape", lambda _format_id: False)
            exactly, exact_parts = _report(path, **options), _parts(path)
        assert quickly == exactly
        for part, exact in zip(parts, exact_parts, strict=True):
            assert part.samples == exact.samples
            assert part.tallies.odd == exact.tallies.odd
            assert part.tallies.demands.roles.counts == exact.tallies.demands.roles.counts
            for one, other in ((part.prompts, exact.prompts), (part.bands, exact.bands)):
                assert [piece.tolist() for piece in one] == [piece.tolist() for piece in other]

    return compare
