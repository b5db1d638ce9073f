"""Files of any bytes, and the report of them."""

import json
from pathlib import Path

import pytest

from workers.dataprep.report import check_file

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
