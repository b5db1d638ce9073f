"""Reading an attached job file: it becomes a plan with a button, or is refused with words."""

from workers import job_files, uploads
from workers.context import Context
from workers.plans import job_file
from workers.plans.job_yaml import MOST_BYTES, NoJobFile
from workers.tables import Upload, UploadStatus
from workers.tasks import Lease


def read(context: Context, lease: Lease) -> None:
    """Read one upload as a job file. The task of kind "read_job_file"."""
    with context.db.read() as session:
        upload = session.get_one(Upload, lease.task.subject_id)
    if upload.status is not UploadStatus.STORED:
        with lease.finish():
            return
    try:
        with context.storage.open(upload.storage_key) as file:
            plan = job_file.read(file.read(MOST_BYTES + 1))
    except NoJobFile as error:
        if upload.addressed or error.looks_like_one:
            uploads.refused(lease, upload.id or 0, error.user_message)
        else:
            _none_of_our_business(context, lease, upload)
        return
    except FileNotFoundError:
        if upload.addressed:
            uploads.refused(lease, upload.id or 0, "It is not there any more. Please attach it again.")
        else:  # this was begun before, and ended between the deletion and the database
            _none_of_our_business(context, lease, upload)
        return
    with lease.finish() as session:
        row = session.get_one(Upload, upload.id)
        row.status = UploadStatus.CHECKED
        session.add(row)
        job_files.keep(session, row, row.message_ts.removeprefix(uploads.JOB_FILE), plan)


def _none_of_our_business(context: Context, lease: Lease, upload: Upload) -> None:
    """Teams share YAML of all kinds: what was not handed to the bot, and is no job file, gets no answer and goes."""
    context.storage.delete(upload.storage_key)
    with lease.finish() as session:
        row = session.get_one(Upload, upload.id)
        row.status, row.problem, row.storage_key = UploadStatus.REFUSED, "It is no job file.", ""
        session.add(row)
