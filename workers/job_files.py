"""Job files that somebody attached: kept as plans, and fitted to the datasets that are here."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlmodel import Session

from providers import prices
from providers.base import Method
from providers.capabilities import CAPABILITIES, HOSTING_CAPACITY
from workers import announcements, datasets
from workers.dataprep.split import LEAST_TO_HOLD_OUT
from workers.errors import NotFound, UserError
from workers.plans import methods, proposal
from workers.plans.choices import Choices, TestOn
from workers.plans.job_fields import Named
from workers.plans.job_file import HELD_OUT, NOTHING, JobFilePlan
from workers.rights import Actor, Verb, allowed, require
from workers.tables import Dataset, DatasetRole, JobFile, Run, Upload

USUAL = {"Test": str(TestOn.HELD_OUT), "Watched while training": NOTHING}
"""What a form that nobody has touched says there, so that a file need not."""
MOST_LOOKED_AT = 1000
"""Datasets, the newest first, among which one that is named is looked for."""


def keep(session: Session, upload: Upload, message_ts: str, plan: JobFilePlan) -> JobFile:
    """Keep what was read of an upload, and announce it in the upload's thread."""
    row = JobFile(
        team_id=upload.team_id,
        enterprise_id=upload.enterprise_id,
        channel_id=upload.channel_id,
        creator_id=upload.creator_id,
        upload_id=upload.id,
        name=upload.name,
        message_ts=message_ts,
        thread_ts=upload.thread_ts,
        plan=plan.to_json(),
    )
    session.add(row)
    session.flush()
    announcements.post(
        session, owner=row, slot=f"job_file:{row.id}", kind="job_file", subject_id=row.id, thread_ts=row.thread_ts
    )
    return row


def get(session: Session, actor: Actor, job_file_id: int) -> JobFile:
    """A job file that the person may see from here. Raises NotFound."""
    row = session.get(JobFile, job_file_id)
    if row is None or not allowed(session, actor, Verb.VIEW, row):
        raise NotFound("This job file is not there any more, or not visible from this channel.")
    return row


def choices(session: Session, actor: Actor, job_file_id: int, provider: str = "") -> Choices:
    """What the file asks for, with the datasets that it names. Raises NotAllowed, NotFound, UserError.

    `provider`: who is to carry it out, where the file says what that means.

    What it leaves open is as the form proposes it: the test and what is watched are what came with the file.
    """
    row = get(session, actor, job_file_id)
    require(session, actor, Verb.START, row)
    plan = JobFilePlan.from_json(row.plan).at(provider)
    if plan.problems:
        raise UserError("This job file cannot be used as it is: " + " ".join(plan.problems))
    usable = [one for one in datasets.visible(session, actor, limit=MOST_LOOKED_AT) if one.trainable]
    here = [one for one in usable if one.message_ts == row.message_ts and one.channel_id == row.channel_id]
    learnt = _learnt(plan.dataset, here, usable)
    test = _named(plan.test, here, usable) if plan.test else None
    validation = _named(plan.validation, here, usable) if plan.validation else None
    test_on = plan.test_on
    if test is None and not test_on:
        taken = {learnt.id, validation.id if validation else None}
        test, watched = proposal.tests_among([one for one in here if one.id not in taken])
        if test is None:
            test, watched = proposal.tests_beside([one for one in usable if one.id not in taken], learnt)
        if validation is None and not plan.watch:
            validation = watched
        test_on = TestOn.NOTHING if test is None and learnt.examples < LEAST_TO_HOLD_OUT else ""
    chosen = replace(plan, test_on=test_on).choices(
        learnt.id or 0,
        test_id=test.id if test else None,
        validation_id=validation.id if validation else None,
        method=str(methods.first(plan.provider, learnt)),
    )
    if problems := chosen.knob_problems():
        said = " ".join(f"{name}: {words}" for name, words in problems.items())
        raise UserError(f"This job file's settings do not fit {learnt.name}, which is for {learnt.method}: {said}")
    return replace(chosen, job_file_id=row.id)


def notes(session: Session, actor: Actor, now: Choices) -> list[str]:
    """What of a job file was not taken over, and what is no longer, or not yet, as it says; nothing without one."""
    row = session.get(JobFile, now.job_file_id) if now.job_file_id is not None else None
    if row is None or not allowed(session, actor, Verb.VIEW, row):
        return []
    plan = JobFilePlan.from_json(row.plan).at(now.provider)
    return [f"From the job file {row.name}.", *plan.notes, *_differences(session, plan, now)]


def _differences(session: Session, plan: JobFilePlan, now: Choices) -> list[str]:
    """What differs between a file and these choices, in words."""
    lines = [
        _other(session, "Learn from", plan.dataset, now.dataset_id),
        _other(session, "Test", plan.test or plan.test_on, now.test_dataset_id or now.test_on),
        _other(session, "Watched while training", plan.validation or plan.watch, _watched(now)),
    ]
    same_place = plan.provider == now.provider
    if not same_place:
        there, here = (prices.vendor(one).text for one in (plan.provider, now.provider))
        lines.append(f"Where: {there} in the file, {here} here.")
    if plan.base_model != now.base_model:
        there, here = (prices.short_name(one) for one in (plan.base_model, now.base_model))
        lines.append(f"Base model: {there or 'none named'} in the file, {here} here.")
    if (plan.method or Method.SFT) != now.method:
        lines.append(f"Method: {plan.method.upper() or 'none named'} in the file, {now.method.upper()} here.")
    if plan.seed != now.seed:
        lines.append(f"Seed: {plan.seed} in the file, {now.seed} here.")
    texts = {knob.name: knob.text for known in CAPABILITIES.values() for knob in known.knobs}
    texts |= {knob.name: knob.text for knob in now.usable_knobs}
    for name in dict.fromkeys((*plan.knobs, *(now.knobs if same_place else ()))):
        value = now.knob(name)
        asked = plan.knobs.get(name, next((one.default for one in now.usable_knobs if one.name == name), None))
        if asked != value:
            gone = f"{value} here" if value is not None else "no such setting here"
            lines.append(f"{texts.get(name, name)}: {asked} in the file, {gone}.")
    usual: dict[str, Any] = {
        "training_tier": prices.vendor(now.provider).tier,
        HOSTING_CAPACITY.name: HOSTING_CAPACITY.default,
    }
    for name in dict.fromkeys((*plan.options, *now.options)):
        was, became = plan.options.get(name, usual.get(name)), now.options.get(name, usual.get(name))
        if was != became:
            lines.append(f"{name.replace('_', ' ').capitalize()}: {_said(was)} in the file, {_said(became)} here.")
    return [one for one in lines if one]


def _other(session: Session, what: str, wanted: Named | str, chosen: int | str) -> str:
    """That a dataset, or a word in its place, is another than the file's; empty where it is the same."""
    row = session.get(Dataset, chosen) if isinstance(chosen, int) else None
    here = f"{row.name} v{row.version}" if row is not None else chosen
    if not isinstance(wanted, Named):
        is_same = chosen == (wanted or USUAL.get(what))
        return "" if is_same else f"{what}: {wanted or 'none named'} in the file, {here} here."
    there = " ".join(filter(None, _words(wanted))) or "none named"
    if row is None:
        return f"{what}: {there} in the file, {here} here."
    called = (not wanted.name or wanted.name.lower() == row.name.lower()) and wanted.version in {None, row.version}
    if wanted.sha256 and wanted.sha256 == row.sha256:
        return "" if called else f"{what}: {there} in the file; the same content is {here} here."
    same = called and wanted.name and not wanted.sha256
    return "" if same else f"{what}: {there} in the file, {here} here."


def _words(named: Named) -> tuple[str, ...]:
    return (named.name, f"v{named.version}" if named.version else "", named.sha256[:12])


def _watched(now: Choices) -> int | str:
    return now.validation_dataset_id or (HELD_OUT if now.hold_out_validation else NOTHING)


def _said(option: object) -> str:
    if option is None or option == "":
        return "none"
    return option if isinstance(option, str) else json.dumps(option, ensure_ascii=False)[:60]


def _learnt(named: Named, here: Sequence[Dataset], usable: Sequence[Dataset]) -> Dataset:
    """The dataset to learn from; where the file names none, the one that came with it. Raises UserError."""
    if named.name or named.sha256:
        return _named(named, here, usable)
    beside = [one for one in here if one.role is DatasetRole.TRAIN] or list(here)
    if len(beside) == 1:
        return beside[0]
    found = "several came with it" if beside else "none that is ready came with it"
    raise UserError(
        f"The job file names no dataset, and {found}. Write “dataset:” with its file's name into the job file, and "
        "attach it again."
    )


def _named(named: Named, here: Sequence[Dataset], usable: Sequence[Dataset]) -> Dataset:
    """Exactly the dataset that is named: by its hash, else by name and version, the newest first. Raises UserError."""
    found = [
        one
        for one in [*here, *usable]
        if (not named.sha256 or one.sha256 == named.sha256)
        and (named.sha256 or one.name.lower() == named.name.lower())
        and (named.sha256 or named.version in {None, one.version})
    ]
    alike = [one for one in found if one.name.lower() == named.name.lower() and one.version == named.version]
    if found:
        return (alike or found)[0]
    said = " ".join(filter(None, _words(named)))
    versions = sorted({one.version for one in usable if named.name and one.name.lower() == named.name.lower()})
    listed = f" (there are: {', '.join(f'v{one}' for one in versions[-5:])}, but not that one)" if versions else ""
    raise UserError(
        f"The dataset “{said[:120]}” that the job file names is not in this channel, or has errors{listed}. Attach it "
        "to a message here, or name another one in the job file, then press the button again."
    )


def ask_for(session: Session, run: Run) -> None:
    """Want the run's plan as a YAML file in its thread."""
    from workers.runs import lifecycle

    announcements.post(
        session,
        owner=run,
        slot=f"run:{run.id}:job-file",
        kind="run_as_job_file",
        subject_id=run.id,
        thread_slot=lifecycle.thread_slot(run),
    )


def datasets_of(session: Session, run: Run) -> dict[int, Dataset]:
    """The datasets that a run's plan names, by id."""
    ids = {run.dataset_id, run.test_dataset_id, run.validation_dataset_id} - {None}
    return {one: session.get_one(Dataset, one) for one in ids if one is not None}
