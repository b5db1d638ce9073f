"""The only job that there is: "carry out this attempt at this task".

Whatever else a hash in Redis may ask of RQ (other functions, callbacks, webhooks, retries, repeats) is
ignored or refused, signed or not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from redis import Redis
from rq import Queue
from rq.exceptions import DeserializationError
from rq.job import Job

from workers.queues.signing import SignedJson

CARRY_OUT = "workers.jobs.runner.carry_out"
"""The one function that a job may name."""


class JobRefused(Exception):
    """The job is not ours: unsigned, damaged, or it asks for another function."""


@dataclass(frozen=True)
class Wanted:
    """What a job asks for: an attempt at a task."""

    task_id: int
    attempt: int


class TaskJob(Job):
    """An RQ job that can name nothing but `carry_out(task_id, attempt)`."""

    def wanted(self) -> Wanted:
        """What the job asks for. Raises JobRefused if that is anything but an attempt at a task."""
        try:
            name, instance, args, kwargs = self.func_name, self.instance, self.args, self.kwargs
        except DeserializationError as error:
            raise JobRefused("unsigned or damaged") from error
        if name != CARRY_OUT or instance is not None or kwargs:
            raise JobRefused("asks for something else than a task")
        numbers = [one for one in args if isinstance(one, int) and not isinstance(one, bool)]
        if len(args) != 2 or len(numbers) != 2:
            raise JobRefused("does not name a task and an attempt")
        return Wanted(*numbers)

    @property
    def func(self) -> Callable[..., Any]:
        """The function, for a worker of RQ's own; only ever the one."""
        self.wanted()
        from workers.jobs.runner import carry_out

        return carry_out

    def restore(self, raw_data: Any) -> None:
        """Read the hash, leaving out everything that would make RQ call or send something."""
        super().restore(raw_data)
        self._success_callback_name = self._failure_callback_name = self._stopped_callback_name = None
        self.webhooks = []
        self._dependency_ids = []
        self.retries_left = self.repeats_left = None


def queue_of(name: str, connection: Redis, serializer: SignedJson) -> Queue:
    """One of the queues, for ringing at or for serving."""
    return Queue(name, connection=connection, serializer=serializer, job_class=TaskJob, default_timeout=-1)
