"""The cloud worker as it is, but with claims and intervals short enough for a test to wait for.

python cloud_worker.py
"""

from workers.__main__ import stop_on_signals
from workers.context import build
from workers.jobs import watching as watcher
from workers.logs import configure
from workers.queues.connection import QueueName
from workers.queues.threaded import ThreadedWorker, leave_at_once
from workers.runs import watching
from workers.settings import Settings


def main():
    watching.CLAIM_SECONDS, watcher.WATCH_SECONDS = 2.0, 5.0
    settings = Settings(poll_seconds=0.3)
    configure(settings, "worker-cloud")
    ThreadedWorker(build(settings), QueueName.CLOUD, threads=12, abandon=leave_at_once).run(stop_on_signals())


if __name__ == "__main__":
    main()
