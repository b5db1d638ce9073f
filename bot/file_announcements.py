"""Messages about files that belong to runs: attached job files, plans as such, models' cards, figures."""

from collections.abc import Callable

from sqlmodel import Session

from bot import escape
from bot.blocks import job_file
from bot.blocks.elements import Drawn
from workers import job_files
from workers.plans.job_file import write
from workers.runs import model_card
from workers.settings import Settings
from workers.tables import Announcement, JobFile, Run


def _job_file(session: Session, _settings: Settings, row: Announcement) -> Drawn:
    return job_file.draw(session.get_one(JobFile, row.subject_id))


def _run_as_job_file(session: Session, _settings: Settings, row: Announcement) -> Drawn:
    run = session.get_one(Run, row.subject_id)
    written = write(run, job_files.datasets_of(session, run))
    return Drawn(
        text=f"The plan of {escape.plain(run.name, 60)} as a job file",
        file_name=f"job-{run.id}.yml",
        file=written.encode(),
    )


def _model_card(session: Session, _settings: Settings, row: Announcement) -> Drawn:
    run = session.get_one(Run, row.subject_id)
    text = f"The card of the model of {escape.plain(run.name, 60)}"
    return Drawn(text=text, file_name=f"model-card-{run.id}.md", file=model_card.write(session, run).encode())


def _figures(session: Session, _settings: Settings, row: Announcement) -> Drawn:
    run = session.get_one(Run, row.subject_id)
    text = f"The figures of {escape.plain(run.name, 60)}, step by step"
    return Drawn(text=text, file_name=f"figures-{run.id}.csv", file=model_card.figures(session, run).encode())


RENDERERS: dict[str, Callable[[Session, Settings, Announcement], Drawn]] = {
    "job_file": _job_file,
    "run_as_job_file": _run_as_job_file,
    model_card.CARD: _model_card,
    model_card.FIGURES: _figures,
}
