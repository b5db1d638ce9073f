"""Job files that somebody attached: kept as plans, and fitted to the datasets that are here."""

from collections.abc import Sequence

from sqlmodel import Session

from workers import announcements, datasets
from workers.errors import NotFound, UserError
from workers.rights import Actor, Verb, allowed, require
from workers.runs.choices import Choices
from workers.runs.job_file import JobFilePlan, Named
from workers.tables import Dataset, DatasetRole, JobFile, Run, Upload


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


def choices(session: Session, actor: Actor, job_file_id: int) -> Choices:
    """What the file asks for, with the datasets that it names. Raises NotAllowed, NotFound, UserError."""
    row = get(session, actor, job_file_id)
    require(session, actor, Verb.START, row)
    plan = JobFilePlan.from_json(row.plan)
    if plan.problems:
        raise UserError("This job file cannot be used as it is: " + " ".join(plan.problems))
    usable = datasets.usable(session, actor)
    here = [one for one in usable if one.message_ts == row.message_ts]
    learnt = _one(plan.dataset, here, usable, DatasetRole.TRAIN)
    test = _one(plan.test, here, usable, DatasetRole.TEST) if plan.test else None
    validation = _one(plan.validation, here, usable, DatasetRole.VALIDATION) if plan.validation else None
    return plan.choices(
        learnt.id or 0, test_id=test.id if test else None, validation_id=validation.id if validation else None
    )


def _one(named: Named, here: Sequence[Dataset], usable: Sequence[Dataset], role: DatasetRole) -> Dataset:
    """The dataset that is meant: by its hash, by its name, or what came in the same message. Raises UserError."""
    exact = [one for one in usable if named.sha256 and one.sha256 == named.sha256]
    if exact:
        return exact[0]
    said = [one for one in [*here, *usable] if named.name and one.name.lower() == named.name.lower()]
    versions = [one for one in said if named.version in {None, one.version}]
    if versions or said:
        return (versions or said)[0]
    beside = [one for one in here if one.role is role]
    if len(beside) == 1 or (beside and not named.name and not named.sha256):
        return beside[0]
    if not named.name and not named.sha256 and usable and role is DatasetRole.TRAIN:
        return usable[0]
    raise UserError(
        f"The dataset “{(named.name or named.sha256)[:80]}” that the job file names is not in this channel, or has "
        "errors. Attach it to a message here, then press the button again."
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
