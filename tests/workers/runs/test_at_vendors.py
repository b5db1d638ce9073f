"""A run's files as its vendor wants them: by method, nothing dropped in silence, never too few and never too large."""

import json
from types import MappingProxyType

import pytest
from sqlmodel import select

from providers.base import Method
from providers.errors import InvalidRequest
from workers.dataprep.checks import vendors
from workers.errors import InvalidPlan, UserError
from workers.plans.choices import Choices
from workers.runs import counting, material, rehearsal
from workers.tables import Announcement, Dataset, Run

pytestmark = pytest.mark.parametrize("db", ["sqlite"], indirect=True)


def chat(question, **more):
    return {
        "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": f"a {question}"}],
        **more,
    }


def preference(question):
    said = {"role": "user", "content": question}
    sides = [[{"role": "assistant", "content": text}] for text in ("good", "bad")]
    return {"input": {"messages": [said]}, "preferred_output": sides[0], "non_preferred_output": sides[1]}


def chosen(question):
    """Another spelling of preferences, with something that OpenAI's has no place for."""
    said = [{"role": "user", "content": question}]
    sides = {name: [*said, {"role": "assistant", "content": name}] for name in ("chosen", "rejected")}
    return {**sides, "score_chosen": 9}


def task(question):
    return {"messages": [{"role": "user", "content": question}], "answer": "4"}


@pytest.fixture
def run(context, tmp_path):
    """A run of these records at a vendor."""

    def make(records, provider, method="sft", watched=None, **plan):
        ids = {}
        with context.db.write() as session:
            for key, content in (("train", records), ("watched", watched)):
                if content is None:
                    continue
                path = tmp_path / f"{key}.jsonl"
                path.write_text("".join(json.dumps(one) + "\n" for one in content))
                context.storage.put(f"datasets/{key}", path)
                row = Dataset(
                    team_id="T1", name=key, sha256=key, storage_key=f"datasets/{key}", format="x", method=method,
                    examples=len(content), trainable=True, size=path.stat().st_size,
                )  # fmt: skip
                session.add(row)
                session.flush()
                ids[key] = row.id
            choices = Choices(
                dataset_id=ids["train"], validation_dataset_id=ids.get("watched"), provider=provider,
                method=Method(method), **plan,
            )  # fmt: skip
            made = Run(
                team_id="T1", channel_id="C1", name="r", request_key="k", dataset_id=ids["train"], provider=provider,
                base_model="m", method=method, validation_dataset_id=ids.get("watched"), plan=choices.to_json(),
            )  # fmt: skip
            session.add(made)
            session.flush()
            return made

    return make


def written(context, run, tmp_path):
    path = tmp_path / "out.jsonl"
    count = material.write_training(context, run, path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == count
    return lines


def notes(context):
    with context.db.read() as session:
        return {one.slot: one.data["text"] for one in session.exec(select(Announcement)) if one.kind == "note"}


@pytest.mark.parametrize(
    ("provider", "method", "record", "keys"),
    [
        ("openai", "sft", chat, {"messages"}),
        ("azure_openai", "sft", chat, {"messages"}),
        ("azure_ml", "sft", chat, {"messages"}),
        ("openai", "dpo", preference, {"input", "preferred_output", "non_preferred_output"}),
        ("azure_openai", "dpo", chosen, {"input", "preferred_output", "non_preferred_output"}),
        ("openai", "rft", task, {"messages", "answer"}),
        ("local", "sft", chat, {"messages"}),
    ],
)
def test_each_vendors_lines_by_method(context, run, tmp_path, provider, method, record, keys):
    made = run([record(f"q{one}") for one in range(12)], provider, method)
    lines = written(context, made, tmp_path)
    assert {frozenset(line) for line in lines} == {frozenset(keys)}
    assert len(lines) == 12


def test_what_a_format_cannot_express_is_told_in_the_thread(context, run, tmp_path):
    made = run([chosen(f"q{one}") for one in range(12)], "openai", "dpo")
    written(context, made, tmp_path)
    words = notes(context)[f"run:{made.id}:losses-training"]
    assert "Not all of the training data can be written for OpenAI." in words
    assert "12 × `score_chosen` of the example is not written." in words


def test_too_few_that_can_be_written_are_refused_in_words(context, run, tmp_path):
    broken = {**chosen("q"), "chosen": [{"role": "user", "content": "q"}, {"role": "critic", "content": "x"}]}
    made = run([chosen(f"q{one}") for one in range(9)] + [broken] * 3, "openai", "dpo")
    with pytest.raises(InvalidRequest) as refused:
        written(context, made, tmp_path)
    assert "trains on 10 examples at least" in refused.value.user_message
    assert "3 examples are left out" in next(iter(notes(context).values()))


def test_a_file_that_is_too_large_for_the_vendor_is_not_sent(context, run, tmp_path, monkeypatch):
    small = vendors.Rules("Azure OpenAI", most_bytes=100)
    monkeypatch.setattr(vendors, "rules", lambda: MappingProxyType({"azure_openai": small}))
    made = run([chat(f"q{one}") for one in range(12)], "azure_openai")
    with pytest.raises(InvalidRequest, match="takes at most"):
        written(context, made, tmp_path)


@pytest.mark.parametrize(("count", "kept"), [(9, 0), (10, 10)])
def test_a_vendor_does_not_watch_fewer_than_it_takes(context, run, tmp_path, count, kept):
    made = run([chat(f"q{one}") for one in range(20)], "openai", watched=[chat(f"v{one}") for one in range(count)])
    path = tmp_path / "val.jsonl"
    assert material.write_validation(context, made, path) == kept
    assert path.exists() is bool(kept)
    assert (f"run:{made.id}:nothing-watched" in notes(context)) is (not kept)


def rehearsed(context, run):
    return rehearsal.rehearse(context, Choices.from_json(run.plan))


def test_a_rehearsal_says_what_would_be_lost_and_nothing_where_nothing_is(context, run):
    assert rehearsed(context, run([chat(f"q{one}") for one in range(12)], "openai")).words("openai") == ""


def test_a_rehearsal_counts_what_would_be_left_out(context, run):
    rows = [chosen(f"q{one}") for one in range(12)]
    rows[3]["chosen"].append({"role": "user", "content": "and?"})
    found = rehearsed(context, run(rows, "openai", "dpo"))
    assert found.count + found.left_out == 12
    assert "× `score_chosen` of the example is not written." in found.words("openai")


def test_a_rehearsal_refuses_what_the_vendor_would(context, run):
    picture = {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}
    rows = [chat(f"q{one}") for one in range(12)]
    rows[4]["messages"][0]["content"] = [{"type": "text", "text": "look"}] + [picture] * 11
    with pytest.raises(InvalidPlan) as refused:
        rehearsed(context, run(rows, "openai"))
    assert refused.value.problems["dataset_id"].endswith("(line 5)")
    with pytest.raises(UserError):
        context.storage.delete("datasets/train")
        rehearsal.rehearse(context, Choices(dataset_id=1, provider="openai"))


def test_what_is_too_large_is_looked_at_by_the_run(context, run, monkeypatch):
    monkeypatch.setattr(counting, "MOST_EXAMPLES", 5)
    found = rehearsed(context, run([chat(f"q{one}") for one in range(12)], "openai"))
    assert not found.looked
    assert "too large to be tried out while you wait" in found.words("openai")


def test_a_file_that_is_sent_in_parts_is_only_noted(context, run, monkeypatch):
    small = vendors.Rules("OpenAI", most_bytes=10**9, simple_bytes=100)
    monkeypatch.setattr(vendors, "rules", lambda: MappingProxyType({"openai": small}))
    found = rehearsed(context, run([chat(f"q{one}") for one in range(12)], "openai"))
    assert "in parts, which takes longer" in found.words("openai")


def test_a_repeated_run_is_divided_as_the_first_whatever_the_settings_are_now(context, run):
    first = run([chat(f"question {one} of {one * 7}") for one in range(100)], "openai")
    tested = [one.line for one in material.held_out(context, first)]
    with context.db.write() as session:
        again = Run(
            team_id="T1", name="r2", request_key="k2", dataset_id=first.dataset_id, provider="local", base_model="m",
            method="sft", rehomed_from_id=first.id, plan={**first.plan, "provider": "local"},
        )  # fmt: skip
        other = Run(
            team_id="T1", name="r3", request_key="k3", dataset_id=first.dataset_id, provider="local", base_model="m",
            method="sft", rehomed_from_id=first.id, plan={**first.plan, "seed": 7},
        )  # fmt: skip
        session.add_all([again, other])
        session.flush()
    object.__setattr__(context.settings, "held_out_examples", 10)
    assert [one.line for one in material.held_out(context, again)] == tested[:10]
    assert material.divided(context, again) == material.divided(context, first)
    assert material.divided(context, other) != material.divided(context, first)
