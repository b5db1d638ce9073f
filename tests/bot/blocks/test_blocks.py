"""Whatever people, vendors and models say, what is drawn is something that Slack accepts and that pings nobody."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.blocks import answer, endpoint, evaluation, home, run_card, start_form, start_plan, words
from bot.sandbox.block_kit import problems_of_blocks, problems_of_view
from bot.sandbox.block_kit_schema import Surface
from workers.evaluation.compare import Asked, compare
from workers.plans.cost import Estimate
from workers.plans.plan import Choices, Option, StartForm
from workers.run_status import RunStatus
from workers.tables import ApiKey, Dataset, DatasetRole, Endpoint, Run

TEXT = st.text(
    alphabet=st.sampled_from(list("<!@#>|&*_~`\n ")) | st.characters(exclude_categories=["Cs"]), max_size=400
)
LONG = TEXT | TEXT.map(lambda text: text * 60)


def dataset(name: str = "d.jsonl", **more) -> Dataset:
    report = {"tokens": {"total": 10}, "findings": [], "counts": {}, "samples": []}
    return Dataset(**{
        "id": 1, "team_id": "T1", "name": name, "sha256": "0", "storage_key": "k", "format": "openai-chat",
        "method": "sft", "examples": 12, "trainable": True, "role": DatasetRole.TRAIN, "report": report, **more,
    })  # fmt: skip


def run(name: str = "r", **more) -> Run:
    return Run(**{
        "id": 7, "team_id": "T1", "creator_id": "U1", "name": name, "request_key": "r", "dataset_id": 1,
        "provider": "local", "base_model": "m", "method": "sft", "plan": Choices(dataset_id=1).to_json(), **more,
    })  # fmt: skip


def check(drawn) -> None:
    assert drawn.text.strip()
    assert problems_of_blocks(drawn.blocks) == []
    _pings_nobody(drawn.blocks)
    _pings_nobody(drawn.text)


def check_view(view) -> None:
    assert problems_of_view(view) == []
    _pings_nobody(view["blocks"])


def _pings_nobody(shown: object) -> None:
    text = json.dumps(shown, ensure_ascii=False)
    assert "<!" not in text
    assert "<#" not in text
    assert text.count("<@") == text.count("<@U1>")


@given(name=TEXT, reason=LONG, stage=TEXT)
@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize("status", RunStatus)
def test_cards(status: RunStatus, name: str, reason: str, stage: str):
    progress = {"step": 3, "total_steps": 9, "epoch": 0.5, "loss": 1.0, "tokens_per_second": 5.0, "stage": stage}
    check(run_card.draw(run(name, status=status, status_reason=reason, progress={**progress, "eta_seconds": 100.0})))
    check(run_card.draw(run(name, status=status), ahead=2))


@given(question=LONG, base=LONG, tuned=LONG)
@settings(max_examples=25, deadline=None)
def test_evaluations(question: str, base: str, tuned: str):
    asked = [Asked(question=question, reference='["a"]', base=base, tuned=tuned)] * 3
    check(evaluation.draw(run(), compare(asked).to_json()))
    check(evaluation.draw(run(), {"problem": question or "x"}))


@given(name=TEXT, goal=LONG)
@settings(max_examples=25, deadline=None)
def test_forms(name: str, goal: str):
    rows = [dataset(name, id=number, role_reason=goal) for number in range(1, 101)]
    choices = Choices(dataset_id=1, test_dataset_id=2, name=name[:40], goal=goal[:300], base_model="m")
    option = Option("m", name or "m", goal)
    form = StartForm(datasets=rows, choices=choices, providers=[option], base_models=[option])
    check_view(start_form.draw(form, "C1"))
    estimate = Estimate(10, 2, 3, 9, 100, 300, 5000.0, "$0")
    check_view(start_plan.confirmation(choices, estimate, rows[0], rows[1], "C1"))
    check_view(start_form.nothing([goal or "x"]))
    check_view(start_form.loading())


@given(text=LONG.map(lambda text: text.strip() or "x"))
@settings(max_examples=25, deadline=None)
def test_the_rest(text: str):
    target = Endpoint(id=1, team_id="T1", name=text, provider="local", model=text)
    check(endpoint.draw(target, "http://127.0.0.1:1"))
    check(endpoint.key(target, "http://127.0.0.1:1", "ftb-x", 3))
    key = ApiKey(id=3, team_id="T1", endpoint_id=1, prefix=text[:9], digest="0")
    for count in (0, 1, 60):
        check(endpoint.keys(target, [key] * count))
    check(words.help_text())
    check(words.problem(text, text, "id"))
    check(words.note(text))
    check(words.runs([run(text)] * 20))
    view = home.draw([run(text)] * 10, [dataset(text)] * 30)
    assert problems_of_view(view) == []


def test_an_answer_fits_however_long_it_is():
    drawn = answer.draw("x" * 50_000, 3)
    assert problems_of_blocks(drawn.blocks, Surface.MESSAGE) == []
