"""A vendor on this machine with very many fine-tuning jobs, as lean as can be: its own cost must not hide ours.

    python -m benchmarks.remote_vendor PORT RUNS SECONDS ENDING

Jobs are called ftjob-0 to ftjob-(RUNS-1). Each trains and says a loss whenever it is looked at; ENDING of them succeed
at moments spread over the SECONDS. GET /polls tells when each job was looked at, and when it ended.
"""

import json
import sys
import time
from typing import Any

import uvicorn

Scope, Receive, Send = dict[str, Any], Any, Any


class Vendor:
    """Answers retrieve and list_events of jobs."""

    def __init__(self, runs: int, seconds: float, ending: int) -> None:
        self._began = time.time()
        self.polls: list[list[float]] = [[] for _ in range(runs)]
        self.ends: dict[int, float] = {}
        every = runs // ending if ending else 0
        for number in range(ending):
            self.ends[number * every + number % every] = self._began + seconds * (0.2 + 0.6 * number / ending)
        self.requests = 0

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        status, answer = self._answer(scope["path"])
        body = json.dumps(answer).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, path: str) -> tuple[int, object]:
        if path == "/polls":
            return 200, {"polls": self.polls, "ends": self.ends, "requests": self.requests}
        self.requests += 1
        parts = path.split("/")
        if len(parts) < 5 or not parts[4].startswith("ftjob-"):
            return 404, {"error": {"message": "There is no such thing here."}}
        number = int(parts[4].removeprefix("ftjob-"))
        if parts[5:] == ["events"]:
            return 200, {"object": "list", "data": [self._event(number)], "has_more": False}
        self.polls[number].append(time.time())
        return 200, self._job(number)

    def _job(self, number: int) -> dict[str, Any]:
        ended = time.time() >= self.ends.get(number, float("inf"))
        return {
            "object": "fine_tuning.job",
            "id": f"ftjob-{number}",
            "model": "gpt-4.1-nano-2025-04-14",
            "created_at": int(self._began),
            "finished_at": int(time.time()) if ended else None,
            "fine_tuned_model": f"ft:gpt-4.1-nano-2025-04-14:ours::{number}" if ended else None,
            "status": "succeeded" if ended else "running",
            "trained_tokens": 4200 if ended else None,
            "training_file": "file-1",
            "validation_file": None,
            "result_files": [],
            "hyperparameters": {"n_epochs": 3},
            "organization_id": "org-1",
            "seed": 1,
            "error": None,
        }

    def _event(self, number: int) -> dict[str, Any]:
        step = max(1, int(time.time() - self._began))
        return {
            "object": "fine_tuning.job.event",
            "id": f"ftevent-{number}-{step}",
            "created_at": int(time.time()),
            "level": "info",
            "message": f"Step {step}/9999: training loss=1.50",
            "data": {"step": step, "train_loss": 1.5, "total_steps": 9999},
            "type": "metrics",
        }


def main() -> None:
    """Serve until killed."""
    port, runs, seconds, ending = (int(one) for one in sys.argv[1:5])
    uvicorn.run(Vendor(runs, seconds, ending), host="127.0.0.1", port=port, log_level="error", access_log=False)


if __name__ == "__main__":
    main()
