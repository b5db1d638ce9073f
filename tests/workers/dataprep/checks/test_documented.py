from pathlib import Path

from workers.dataprep.checks.catalogue import CATALOGUE

ROOT = Path(__file__).resolve().parents[4]


def test_the_documentation_lists_every_check_as_it_is():
    lines = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8").splitlines()
    wanted = [
        f"| `{name}` | {one.severity} | {one.about} {one.do} | {one.fix or ''} |" for name, one in CATALOGUE.items()
    ]
    assert [line for line in lines if line.startswith("| `") and line.count("|") == 5 and line in wanted] == wanted
