"""What goes with a model's files: the card, and the figures of its training."""

import csv
import io

import yaml

from workers.plans.choices import Choices
from workers.run_status import RunStatus
from workers.runs import model_card
from workers.tables import Dataset, Evaluation, Run, RunMetric

NASTY = "# <script> | *bold* [x](y)\n---"


def made(session, *, name="recipes", base_model="smollm2-135m-instruct", summary=None):
    dataset = Dataset(
        team_id="T1", name=NASTY, sha256="abc123", storage_key="k", format="openai-chat", method="sft", examples=101,
        trainable=True,
    )  # fmt: skip
    session.add(dataset)
    session.flush()
    choices = Choices(dataset_id=dataset.id, base_model=base_model, goal="answer in JSON", knobs={"epochs": 3})
    run = Run(
        team_id="T1", name=name, status=RunStatus.READY, request_key=name, dataset_id=dataset.id, provider="local",
        base_model=base_model, method="sft", plan=choices.to_json(), trained_at=1_764_000_000.0,
    )  # fmt: skip
    session.add(run)
    session.flush()
    if summary is not None:
        session.add(Evaluation(team_id="T1", run_id=run.id, done=True, summary=summary))
    return run


def test_the_card_says_what_it_was_made_of_and_how_good_it_is(db):
    summary = {
        "base": {"f1": 0.0, "exact": 0.0},
        "tuned": {"f1": 0.775, "exact": 0.175},
        "examples": 40,
        "words": "Better.",
    }
    with db.write() as session:
        text = model_card.write(session, made(session, summary=summary))
    head = yaml.safe_load(text.split("---")[1])
    assert head == {"license": "apache-2.0", "base_model": "smollm2-135m-instruct"}
    assert "- **SHA-256 of the data:** abc123" in text
    assert "| F1 | 0.000 | 0.775 |" in text
    assert "| epochs | 3 |" in text
    assert "| lora\\_r | 16 |" in text
    assert "On 40 examples that were not learnt from." in text


def test_what_people_wrote_is_no_markup_of_the_card(db):
    with db.write() as session:
        text = model_card.write(session, made(session, name=NASTY, base_model="/models/own\nlicense: mit"))
    assert yaml.safe_load(text.split("---")[1])["license"] == "other"
    assert "<script>" not in text.replace("\\<script\\>", "")
    assert "Nothing was compared" in text
    assert "look it up before you share" in text


def test_the_figures_are_a_table_with_a_line_a_step(db):
    with db.write() as session:
        run, other = made(session), made(session, name="other")
        session.add(RunMetric(run_id=run.id, step=2, loss=0.5, epoch=0.2, figures={"reward": 0.25}))
        session.add(RunMetric(run_id=run.id, step=1, loss=0.9))
        session.add(RunMetric(run_id=other.id, step=1, loss=0.1))
        session.flush()
        rows = list(csv.DictReader(io.StringIO(model_card.figures(session, run))))
    told = [(row["step"], row["loss"], row["epoch"], row["reward"]) for row in rows]
    assert told == [("1", "0.9", "", ""), ("2", "0.5", "0.2", "0.25")]
