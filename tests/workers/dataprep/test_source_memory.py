"""Files of one 100 MB line: each is read, or a finding, in bounded memory and time."""

import json
import subprocess
import sys

import pytest

MEASURED = """
import json, resource, sys
from pathlib import Path
from workers.dataprep.source import opened
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with opened(Path(sys.argv[1])) as source:
    checks = [found.check for _, found in source.findings]
    layout = source.layout
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"layout": layout, "checks": checks, "megabytes": (peak - before) / 1e3}))
"""


@pytest.mark.parametrize(
    ("start", "end", "layout", "checks", "megabytes"),
    [
        (b'{"messages": "', b'"}\n', "jsonl", [], 20),
        (b'[{"a": 1}, {"messages": "', b'"}]', "json", [], 20),
        (b'{\n"messages": "', b'"\n}', "json", [], 20),
        (b"prompt,completion\na,", b"\nc,d\n", "csv", ["line_too_long"], 300),
        (b"hello\n", b"\nyou\n", "text", ["line_too_long"], 100),
    ],
)
def test_one_line_of_100_megabytes(tmp_path, start, end, layout, checks, megabytes):
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.write(start)
        for _ in range(100):
            file.write(b"x" * 1_000_000)
        file.write(end)
    done = subprocess.run([sys.executable, "-c", MEASURED, str(path)], capture_output=True, timeout=20, check=True)
    seen = json.loads(done.stdout)
    assert (seen["layout"], seen["checks"]) == (layout, checks)
    assert seen["megabytes"] < megabytes
