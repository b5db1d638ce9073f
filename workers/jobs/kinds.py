"""Every kind of task: which queue it waits on, who carries it out, and who is told when it is given up.

Handlers are named by strings, so that this package never imports the bot's, and a worker loads only what
it carries out. A handler is `(context, lease) -> None`; it ends with `lease.finish()` or
`lease.retry_later()`. An `on_dead` is `(session, task) -> None`, in the transaction that gives the task up.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import structlog
from sqlmodel import Session

from workers.queues.connection import QueueName
from workers.tables import Task

if TYPE_CHECKING:
    from workers.context import Context
    from workers.tasks import Lease

log = structlog.get_logger()

Handler = Callable[["Context", "Lease"], None]


@dataclass(frozen=True)
class Kind:
    """A kind of task. `handler` and `on_dead` are "module:function"; no `on_dead`: nobody is told."""

    queue: QueueName
    handler: str
    on_dead: str = ""


KINDS: dict[str, Kind] = {
    "download": Kind(QueueName.SLACK, "bot.downloads:download", "workers.uploads:gave_up"),
    "answer": Kind(QueueName.SLACK, "bot.stream:answer", "bot.stream:gave_up"),
    "check_dataset": Kind(QueueName.CPU, "workers.jobs.dataset:check", "workers.uploads:gave_up"),
    "read_job_file": Kind(QueueName.CPU, "workers.jobs.job_file:read", "workers.uploads:gave_up"),
    "fix_dataset": Kind(QueueName.CPU, "workers.jobs.derivations:fix", "workers.jobs.derivations:gave_up"),
    "convert_dataset": Kind(QueueName.CPU, "workers.jobs.derivations:convert", "workers.jobs.derivations:gave_up"),
    "compare_datasets": Kind(QueueName.CPU, "workers.jobs.derivations:compare", "workers.jobs.derivations:gave_up"),
    "forget_conversion": Kind(QueueName.CPU, "workers.jobs.derivations:forget"),
    "delete_dataset": Kind(QueueName.CPU, "workers.jobs.dataset:delete"),
    "read_thread": Kind(QueueName.SLACK, "bot.thread_import:read", "workers.consents:gave_up"),
    "write_thread": Kind(QueueName.SLACK, "bot.thread_import:write", "workers.consents:gave_up"),
    "check_credential": Kind(QueueName.CLOUD, "workers.jobs.credentials:check", "workers.jobs.credentials:gave_up"),
    "train_local": Kind(QueueName.GPU, "workers.jobs.training:train", "workers.jobs.training:gave_up"),
    "submit": Kind(QueueName.CLOUD, "workers.jobs.submitting:submit", "workers.jobs.submitting:gave_up"),
    "end_stray": Kind(QueueName.CLOUD, "workers.jobs.strays:end", "workers.jobs.strays:gave_up"),
    "watch": Kind(QueueName.CLOUD, "workers.jobs.watching:watch"),
    "list_checkpoints": Kind(QueueName.CLOUD, "workers.jobs.models:list_checkpoints"),
    "bind_thread": Kind(QueueName.CLOUD, "workers.jobs.models:bind_thread"),
    "delete_model": Kind(QueueName.CLOUD, "workers.jobs.models:delete_model", "workers.jobs.models:gave_up_deleting"),
    "host_model": Kind(QueueName.CLOUD, "workers.jobs.hosting:host", "workers.jobs.hosting:gave_up_hosting"),
    "unhost_model": Kind(QueueName.CLOUD, "workers.jobs.hosting:unhost", "workers.jobs.hosting:gave_up_ending"),
    "check_hosted_model": Kind(QueueName.CLOUD, "workers.jobs.hosting:check"),
    "radar": Kind(QueueName.CLOUD, "workers.jobs.radar:look"),
    "evaluate": Kind(QueueName.CPU, "workers.jobs.evaluation:evaluate", "workers.jobs.evaluation:gave_up"),
}


def handler_of(kind: str) -> Handler:
    """The function that carries out this kind. Raises KeyError for a kind that there is not."""
    function: Handler = _load(KINDS[kind].handler)
    return function


def give_up(session: Session, task: Task) -> None:
    """Tell whom it concerns that the task is dead. A fault in telling is logged; the task stays dead."""
    kind = KINDS.get(task.kind)
    if kind is None or not kind.on_dead:
        log.error("task_dead", task_id=task.id, kind=task.kind, error_id=task.error_id)
        return
    try:
        with session.begin_nested():
            _load(kind.on_dead)(session, task)
    except Exception:  # the edge of somebody's handler: the other tasks must not suffer from it
        log.exception("task_dead_unannounced", task_id=task.id, kind=task.kind, error_id=task.error_id)
    else:
        log.error("task_dead", task_id=task.id, kind=task.kind, error_id=task.error_id)


def _load(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
