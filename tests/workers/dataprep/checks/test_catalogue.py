"""One table of all checks, and every finding of the engine is in it."""

import ast
from pathlib import Path

import workers.dataprep
from workers.dataprep.checks.catalogue import CATALOGUE, Fix, fixable

ROOM = Path(workers.dataprep.__file__).parent
MAKERS = {"Found": 0, "Counted": 0, "missing": 0, "warned": 0, "_of_all": 0, "_at_places": 0, "Usual": 0}
"""What makes findings, and which argument names the check."""


def names():
    for path in sorted(ROOM.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
            if name in MAKERS:
                given = [one.value for one in node.keywords if one.arg == "check"] or node.args[:1]
                fix = [one.value for one in node.keywords if one.arg == "fix"] or node.args[3:4]
                for one in given:
                    if isinstance(one, ast.Constant) and isinstance(one.value, str):
                        fixed = fix[0].value if fix and isinstance(fix[0], ast.Constant) else None
                        yield f"{path.name}:{node.lineno}", name, one.value, fixed


def test_every_finding_is_in_the_catalogue():
    found = list(names())
    assert len({check for _, _, check, _ in found}) > 60
    assert [(where, check) for where, _, check, _ in found if check not in CATALOGUE] == []


def test_every_finding_offers_its_own_fix():
    wrong = [
        (where, check, fix)
        for where, maker, check, fix in names()
        if maker == "Found" and fix and check in CATALOGUE and fix != CATALOGUE[check].fix
    ]
    assert wrong == []


def test_every_check_says_what_it_is_about_and_what_to_do():
    for name, one in CATALOGUE.items():
        assert one.about.endswith(".")
        assert one.do.endswith(".")
        assert name == name.lower()
    assert {one.fix for one in CATALOGUE.values()} == {*Fix, None}


def test_nothing_is_in_the_catalogue_that_nobody_finds():
    elsewhere = {"leakage", "secret", "personal_data"}
    assert set(CATALOGUE) - {check for _, _, check, _ in names()} - elsewhere == set()


def test_what_can_be_fixed_here():
    assert {"secret", "personal_data", "mojibake", "turn_order", "not_json", "empty_answer"} <= fixable()
    assert not {"exact_duplicate", "over_token_limit", "missing_system_message"} & fixable()
