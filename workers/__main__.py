"""The processes of this package.

python -m workers up                     everything of the Procfile, on this machine
python -m workers prepare                folders, keys and the newest tables
python -m workers dispatcher
python -m workers gateway
python -m workers serve                  local models, over HTTP
python -m workers worker cpu|cloud|gpu
python -m workers revision "what changes"        write the next migration
"""

import argparse
import os
import signal
import sys
import threading
from types import FrameType

from workers.errors import SetupProblem
from workers.logs import configure
from workers.queues.connection import QueueName
from workers.settings import Settings


def main() -> None:
    """Run one of the processes. Exit status 1: this machine is not ready; stderr says what to do."""
    parser = argparse.ArgumentParser(prog="python -m workers", description="The processes behind Finetune Bot.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("up", "prepare", "dispatcher", "gateway", "serve"):
        commands.add_parser(name)
    commands.add_parser("worker").add_argument("queue", choices=[QueueName.CPU, QueueName.CLOUD, QueueName.GPU])
    commands.add_parser("revision").add_argument("message")
    arguments = parser.parse_args()
    settings = Settings()
    name = f"worker-{arguments.queue}" if arguments.command == "worker" else arguments.command
    configure(settings, name)
    try:
        _run(arguments, settings, name)
    except SetupProblem as problem:
        sys.exit(f"finetune-bot: {problem}")


def _run(arguments: argparse.Namespace, settings: Settings, name: str) -> None:
    from workers import bootstrap

    match arguments.command:
        case "up":
            from workers.supervisor import Supervisor

            Supervisor(settings, echo=True).run(stop_on_signals())
        case "prepare":
            bootstrap.prepare(settings)
        case "revision":
            bootstrap.write_revision(arguments.message)
        case "dispatcher":
            from workers.db import Database
            from workers.dispatcher import Dispatcher
            from workers.queues.signing import installation_key

            dispatcher = Dispatcher(settings, Database(settings.database), installation_key(settings.folder))
            bootstrap.mark_ready(settings, name)
            dispatcher.run(stop_on_signals())
        case "worker" if arguments.queue == QueueName.CLOUD:
            from workers.context import build
            from workers.queues.threaded import ThreadedWorker, leave_at_once

            threaded = ThreadedWorker(build(settings), QueueName.CLOUD, threads=12, abandon=leave_at_once)
            bootstrap.mark_ready(settings, name)
            threaded.run(stop_on_signals())
        case "worker":
            from workers.queues.executing import ExecutingWorker
            from workers.queues.signing import installation_key

            stop = stop_on_signals()
            worker = ExecutingWorker(settings, arguments.queue, installation_key(settings.folder))
            if arguments.queue == QueueName.GPU:
                from providers.local import hardware
                from workers import training_hosts
                from workers.db import Database

                training_hosts.keep_reporting(Database(settings.database), hardware.look, stop)
            bootstrap.mark_ready(settings, name)
            worker.run(stop)
        case "serve":
            _serve(settings)
        case "gateway":
            from workers.gateway.app import serve

            serve(settings)


def _serve(settings: Settings) -> None:
    """Become the model server; it is told by arguments alone where models are."""
    bare = [sys.executable, "-m", "providers.local.serving"]
    places = ["--models", str(settings.models_folder), "--cache", str(settings.cache_folder)]
    megabytes = settings.serve_adapter_megabytes
    room = ["--adapter-megabytes", str(megabytes)] if megabytes is not None else []
    os.execv(sys.executable, [*bare, *places, "--port", str(settings.serve_port), *room])


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return stop


if __name__ == "__main__":
    main()
