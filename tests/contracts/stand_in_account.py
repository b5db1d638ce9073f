"""The account that the stand-in keeps: files, uploads, fine-tuning jobs, models and answers, as OpenAI's API has them.

Each handler takes a `Request` and returns JSON, bytes or (streaming) an iterator of events, or raises `Problem`.
Another vendor's stand-in derives from `Account` and adds to `ROUTES` or overrides a handler.
"""

import base64
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, ClassVar

BASE_MODELS: dict[str, str | None] = {
    "gpt-4.1-mini-2025-04-14": "2027-01-14",
    "gpt-4.1-nano-2025-04-14": "2026-10-23",
    "gpt-4o-mini-2024-07-18": "2027-01-14",
    "o4-mini-2025-04-16": None,
}
"""Base models and the day each shuts down."""
TOTAL_STEPS, STRETCH = 10, 5
"""Optimiser steps of every job, and how many one `advance` makes."""
FEWEST_EXAMPLES = 10
ENDED = frozenset({"succeeded", "failed", "cancelled"})


@dataclass
class Request:
    """What was asked; `names` are those in braces in the route."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    names: dict[str, str] = field(default_factory=dict)

    @property
    def json(self) -> dict[str, Any]:
        try:
            found = json.loads(self.body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Problem(400, "We could not parse the JSON body of your request.")
        return found

    @property
    def form(self) -> dict[str, tuple[str, bytes]]:
        """Name -> file name, content of a multipart body."""
        boundary = re.search(r'boundary="?([^";]+)', self.headers.get("content-type", ""))
        if boundary is None:
            raise Problem(400, "This is no multipart form.")
        found = {}
        for part in self.body.split(b"--" + boundary[1].encode())[1:-1]:
            head, _, content = part.partition(b"\r\n\r\n")
            name = re.search(rb'[; ]name="([^"]*)"', head)
            filename = re.search(rb'filename="([^"]*)"', head)
            if name:
                found[name[1].decode()] = (filename[1].decode() if filename else "", content.removesuffix(b"\r\n"))
        return found

    def shown(self) -> Any:
        """The body as a log may hold it: JSON, or how much it was."""
        if not self.headers.get("content-type", "").startswith("application/json"):
            return f"{len(self.body)} bytes"
        try:
            return json.loads(self.body or b"null")
        except ValueError:
            return "no JSON"


class Problem(Exception):
    """An error answer in the vendor's form."""

    def __init__(
        self, status: int, message: str, code: str | None = None, param: str | None = None, kind: str = ""
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.kind = kind or "invalid_request_error"

    def body(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


@dataclass
class File:
    id: str
    name: str
    purpose: str
    content: bytes
    status: str = "processed"
    created: float = field(default_factory=time.time)

    def json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "file",
            "bytes": len(self.content),
            "created_at": int(self.created),
            "filename": self.name,
            "purpose": self.purpose,
            "status": self.status,
        }


@dataclass
class Upload:
    id: str
    wanted: dict[str, Any]
    parts: dict[str, bytes] = field(default_factory=dict)
    status: str = "pending"
    file: File | None = None

    def json(self) -> dict[str, Any]:
        found = {
            "id": self.id,
            "object": "upload",
            "bytes": self.wanted["bytes"],
            "created_at": int(time.time()),
            "expires_at": int(time.time()) + 3600,
            "filename": self.wanted["filename"],
            "purpose": self.wanted["purpose"],
            "status": self.status,
        }
        return found | ({"file": self.file.json()} if self.file else {})


@dataclass
class Job:
    id: str
    asked: dict[str, Any]
    examples: list[dict[str, Any]]
    size: int
    status: str = "validating_files"
    step: int = 0
    created: int = field(default_factory=lambda: int(time.time()))
    finished: int | None = None
    error: dict[str, Any] | None = None
    result_files: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)  # the oldest first
    metrics: list[dict[str, Any]] = field(default_factory=list)
    changed: dict[str, Any] = field(default_factory=dict)  # fields as answered in stead of the true ones

    @property
    def epochs(self) -> int:
        asked = self.method.get(self.method["type"], {}).get("hyperparameters", {}).get("n_epochs", "auto")
        return 3 if asked == "auto" else asked

    @property
    def method(self) -> dict[str, Any]:
        return self.asked.get("method") or {"type": "supervised"}

    @property
    def tuned(self) -> str:
        suffix = self.asked.get("suffix") or ""
        return f"ft:{self.asked['model']}:stand-in:{suffix}:{self.id.removeprefix('ftjob-')}"

    def json(self) -> dict[str, Any]:
        done = self.status == "succeeded"
        kind = self.method["type"]
        settled = {"n_epochs": self.epochs, "batch_size": 1, "learning_rate_multiplier": 1.8}
        inside = {**self.method.get(kind, {}), "hyperparameters": {**settled, **self._numbers(kind)}}
        job = {
            "id": self.id,
            "object": "fine_tuning.job",
            "created_at": self.created,
            "error": self.error,
            "estimated_finish": int(time.time()) + 60 if self.status == "running" else None,
            "fine_tuned_model": self.tuned if done else None,
            "finished_at": self.finished,
            "hyperparameters": settled,
            "integrations": self.asked.get("integrations") or [],
            "metadata": self.asked.get("metadata"),
            "method": {"type": kind, kind: inside},
            "model": self.asked["model"],
            "organization_id": "org-stand-in",
            "result_files": self.result_files,
            "seed": self.asked.get("seed") or 0,
            "status": self.status,
            "trained_tokens": self.size // 4 * self.epochs if done else None,
            "training_file": self.asked["training_file"],
            "validation_file": self.asked.get("validation_file"),
        }
        return {**job, **self.changed}

    def _numbers(self, kind: str) -> dict[str, Any]:
        asked = self.method.get(kind, {}).get("hyperparameters", {})
        return {name: value for name, value in asked.items() if value != "auto"}

    def say(self, message: str, level: str = "info", data: dict[str, Any] | None = None) -> None:
        event = {
            "id": f"ftevent-{self.id.removeprefix('ftjob-')}-{len(self.events)}",
            "object": "fine_tuning.job.event",
            "created_at": int(time.time()),
            "level": level,
            "message": message,
            "type": "metrics" if data else "message",
        }
        self.events.append(event | ({"data": data} if data else {}))


class Account:
    """Everything that one account has at the vendor."""

    ROUTES: ClassVar[dict[str, str]] = {
        "POST /files": "create_file",
        "GET /files": "list_files",
        "GET /files/{id}": "retrieve_file",
        "GET /files/{id}/content": "file_content",
        "DELETE /files/{id}": "delete_file",
        "POST /uploads": "create_upload",
        "POST /uploads/{id}/parts": "add_part",
        "POST /uploads/{id}/complete": "complete_upload",
        "POST /uploads/{id}/cancel": "cancel_upload",
        "POST /fine_tuning/jobs": "create_job",
        "GET /fine_tuning/jobs": "list_jobs",
        "GET /fine_tuning/jobs/{id}": "retrieve_job",
        "GET /fine_tuning/jobs/{id}/events": "list_events",
        "GET /fine_tuning/jobs/{id}/checkpoints": "list_checkpoints",
        "POST /fine_tuning/jobs/{id}/cancel": "cancel_job",
        "POST /fine_tuning/jobs/{id}/pause": "pause_job",
        "POST /fine_tuning/jobs/{id}/resume": "resume_job",
        "POST /fine_tuning/alpha/graders/validate": "validate_grader",
        "GET /models": "list_models",
        "GET /models/{id}": "retrieve_model",
        "DELETE /models/{id}": "delete_model",
        "POST /chat/completions": "chat",
        "POST /deployments/{id}/chat/completions": "chat",
    }

    def __init__(self, pace: str = "poll") -> None:
        self.pace = pace
        self.file_status = "processed"
        self.files: dict[str, File] = {}
        self.uploads: dict[str, Upload] = {}
        self.jobs: dict[str, Job] = {}
        self.deleted_models: set[str] = set()
        self._ids = count(1)

    def find(self, request: Request) -> tuple[str, Callable[[Request], Any], dict[str, str]]:
        """The route of a request, its handler and the names in it."""
        for route, handler in self.ROUTES.items():
            method, _, template = route.partition(" ")
            pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template)
            found = re.fullmatch(pattern, request.path) if method == request.method else None
            if found:
                return route, getattr(self, handler), found.groupdict()
        return f"{request.method} {request.path}", self.no_route, {}

    def no_route(self, request: Request) -> Any:
        raise Problem(404, f"Invalid URL ({request.method} /v1{request.path})", "unknown_url")

    def new_id(self, kind: str) -> str:
        return f"{kind}-{next(self._ids):04d}{hashlib.sha256(str(id(self)).encode()).hexdigest()[:8]}"

    # files

    def create_file(self, request: Request) -> Any:
        form = request.form
        if "file" not in form or "purpose" not in form:
            raise Problem(400, "'file' and 'purpose' are required.")
        return self.keep(*form["file"], form["purpose"][1].decode()).json()

    def keep(self, name: str, content: bytes, purpose: str) -> File:
        file = File(self.new_id("file"), name, purpose, content, self.file_status)
        self.files[file.id] = file
        return file

    def list_files(self, request: Request) -> Any:
        purpose = request.query.get("purpose")
        found = [one.json() for one in self.files.values() if purpose in {None, one.purpose}]
        listed = page(found[::-1], request.query)
        return {**listed, "first_id": listed["first_id"] or "", "last_id": listed["last_id"] or ""}

    def file(self, file_id: str) -> File:
        if file_id not in self.files:
            raise Problem(404, f"No such File object: {file_id}", param="id")
        return self.files[file_id]

    def retrieve_file(self, request: Request) -> Any:
        return self.file(request.names["id"]).json()

    def file_content(self, request: Request) -> Any:
        return self.file(request.names["id"]).content

    def delete_file(self, request: Request) -> Any:
        file = self.file(request.names["id"])
        del self.files[file.id]
        return {"id": file.id, "object": "file", "deleted": True}

    # uploads

    def create_upload(self, request: Request) -> Any:
        upload = Upload(self.new_id("upload"), request.json)
        self.uploads[upload.id] = upload
        return upload.json()

    def upload(self, request: Request) -> Upload:
        upload = self.uploads.get(request.names["id"])
        if upload is None or upload.status != "pending":
            raise Problem(404, f"No such upload: {request.names['id']}")
        return upload

    def add_part(self, request: Request) -> Any:
        upload, part_id = self.upload(request), self.new_id("part")
        upload.parts[part_id] = request.form["data"][1]
        return {"id": part_id, "object": "upload.part", "created_at": int(time.time()), "upload_id": upload.id}

    def complete_upload(self, request: Request) -> Any:
        upload, asked = self.upload(request), request.json
        content = b"".join(upload.parts[one] for one in asked["part_ids"])
        if len(content) != upload.wanted["bytes"]:
            raise Problem(400, f"The parts have {len(content)} bytes, not {upload.wanted['bytes']}.")
        if asked.get("md5") not in {None, hashlib.md5(content).hexdigest()}:
            raise Problem(400, "The checksum is another one.")
        upload.status = "completed"
        upload.file = self.keep(upload.wanted["filename"], content, upload.wanted["purpose"])
        return upload.json()

    def cancel_upload(self, request: Request) -> Any:
        upload = self.upload(request)
        upload.status = "cancelled"
        return upload.json()

    # jobs

    def create_job(self, request: Request) -> Any:
        asked = request.json
        if asked.get("model") not in BASE_MODELS:
            message = f"Model {asked.get('model')} is not available for fine-tuning or does not exist."
            raise Problem(400, message, "model_not_available", "model")
        for name in ("training_file", "validation_file"):
            file_id = asked.get(name)
            if file_id is not None and self.file(file_id).status != "processed":
                raise Problem(400, f"File '{file_id}' is still being processed.", "invalid_" + name, name)
        content = self.file(asked["training_file"]).content
        job = Job(self.new_id("ftjob"), asked, _examples(content), len(content))
        self.jobs[job.id] = job
        job.say(f"Created fine-tuning job: {job.id}")
        return job.json()

    def list_jobs(self, request: Request) -> Any:
        wanted = {name[9:-1]: value for name, value in request.query.items() if name.startswith("metadata[")}
        found = [
            job.json() for job in self.jobs.values() if wanted.items() <= (job.asked.get("metadata") or {}).items()
        ]
        return page(found[::-1], request.query)

    def job(self, request: Request) -> Job:
        if request.names["id"] not in self.jobs:
            raise Problem(404, f"Could not find fine tune: {request.names['id']}", "fine_tune_not_found")
        return self.jobs[request.names["id"]]

    def retrieve_job(self, request: Request) -> Any:
        job = self.job(request)
        if self.pace == "poll":
            self.advance(job.id)
        return job.json()

    def list_events(self, request: Request) -> Any:
        return page(self.job(request).events[::-1], request.query)

    def list_checkpoints(self, request: Request) -> Any:
        job = self.job(request)
        steps = [one["step"] for one in job.metrics if one["step"] % STRETCH == 0]
        return page([_checkpoint(job, step) for step in steps[::-1]], request.query)

    def cancel_job(self, request: Request) -> Any:
        return self._move(request, "cancelled", ("validating_files", "queued", "running", "paused"))

    def pause_job(self, request: Request) -> Any:
        return self._move(request, "paused", ("queued", "running"))

    def resume_job(self, request: Request) -> Any:
        return self._move(request, "running", ("paused",))

    def _move(self, request: Request, status: str, allowed: tuple[str, ...]) -> Any:
        job = self.job(request)
        if job.status not in allowed:
            raise Problem(400, f"Job {job.id} is {job.status}, so it cannot become {status}.", "invalid_state")
        self.advance(job.id, status)
        return job.json()

    def advance(self, job_id: str, status: str = "") -> str:
        """One stretch on, or at once to a state; how the job is now."""
        job = self.jobs[job_id]
        if status:
            self._become(job, status)
        elif job.status == "validating_files":
            self._become(job, "queued" if len(job.examples) >= FEWEST_EXAMPLES else "failed")
        elif job.status == "queued":
            self._become(job, "running")
        elif job.status == "running":
            self._train(job, min(job.step + STRETCH, TOTAL_STEPS))
            if job.step == TOTAL_STEPS:
                self._become(job, "succeeded")
        return job.status

    def _train(self, job: Job, until: int) -> None:
        while job.step < until:
            job.step += 1
            loss = round(2.0 / job.step + 0.1, 4)
            figures = {"step": job.step, "train_loss": loss, "train_mean_token_accuracy": round(1 - loss / 4, 4)}
            if job.step % STRETCH == 0:
                figures |= {
                    "valid_loss": loss + 0.05,
                    "full_valid_loss": loss + 0.1,
                    "full_valid_mean_token_accuracy": 0.8,
                }
            job.metrics.append(figures)
            job.say(
                f"Step {job.step}/{TOTAL_STEPS}: training loss={loss}",
                data={**figures, "total_steps": TOTAL_STEPS},
            )

    def _become(self, job: Job, status: str) -> None:
        words = {
            "queued": "Files validated, moving job to queued state",
            "running": "Fine-tuning job started" if not job.step else "Fine-tuning job resumed",
            "failed": "The job failed due to an invalid training file.",
            "succeeded": "The job has successfully completed",
        }
        if status == "succeeded":
            self._train(job, TOTAL_STEPS)
            job.say(f"New fine-tuned model created: {job.tuned}")
            rows = [["step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy"]]
            rows += [[one["step"], one["train_loss"], "", one.get("valid_loss", ""), ""] for one in job.metrics]
            text = "\n".join(",".join(map(str, row)) for row in rows) + "\n"
            content = base64.b64encode(text.encode())
            job.result_files = [self.keep("step_metrics.csv", content, "fine-tune-results").id]
        if status == "failed":
            message = (
                f"Training file has {len(job.examples)} example(s), but must have at least {FEWEST_EXAMPLES} examples"
            )
            job.error = {"code": "invalid_n_examples", "message": message, "param": "training_file"}
        job.status = status
        job.finished = int(time.time()) if status in ENDED else None
        job.say(words.get(status, f"The job is {status}"), "error" if status == "failed" else "info")

    def validate_grader(self, request: Request) -> Any:
        grader = request.json.get("grader")
        if not isinstance(grader, dict) or grader.get("name") == "refused":
            raise Problem(400, "The grader cannot be used.", "invalid_grader", "grader")
        return {"grader": grader}

    # models and answers

    def models(self) -> dict[str, Job | None]:
        """Name -> the job that made it; none for base models."""
        found: dict[str, Job | None] = dict.fromkeys(BASE_MODELS)
        for job in self.jobs.values():
            if job.status == "succeeded":
                names = [
                    _checkpoint(job, one)["fine_tuned_model_checkpoint"] for one in range(STRETCH, TOTAL_STEPS, STRETCH)
                ]
                found |= dict.fromkeys([job.tuned, *names], job)
        return {name: job for name, job in found.items() if name not in self.deleted_models}

    def list_models(self, request: Request) -> Any:
        return {"object": "list", "data": [_model(name, job) for name, job in self.models().items()]}

    def model(self, name: str) -> Job | None:
        models = self.models()
        if name not in models:
            raise Problem(404, f"The model `{name}` does not exist or you do not have access to it.", "model_not_found")
        return models[name]

    def retrieve_model(self, request: Request) -> Any:
        return _model(request.names["id"], self.model(request.names["id"]))

    def delete_model(self, request: Request) -> Any:
        if self.model(request.names["id"]) is None:
            raise Problem(403, "You have insufficient permissions for this operation.")
        self.deleted_models.add(request.names["id"])
        return {"id": request.names["id"], "object": "model", "deleted": True}

    def chat(self, request: Request) -> Any:
        asked = request.json
        name = request.names.get("id") or asked.get("model", "")
        job = self.model(name)
        if name.removeprefix("ft:").startswith("o"):
            _refuse_as_a_reasoning_model(asked)
        question = next((one["content"] for one in asked["messages"][::-1] if one["role"] == "user"), "")
        words = re.findall(r"\s*\S+", answer(job, question))
        most = asked.get("max_completion_tokens") or asked.get("max_tokens") or len(words)
        said, reason = words[:most], "stop" if len(words) <= most else "length"
        prompt = sum(len(str(one.get("content")).split()) for one in asked["messages"])
        usage = {"prompt_tokens": prompt, "completion_tokens": len(said), "total_tokens": prompt + len(said)}
        head = {"id": self.new_id("chatcmpl"), "created": int(time.time()), "model": name}
        if asked.get("stream"):
            wants_usage = bool((asked.get("stream_options") or {}).get("include_usage"))
            return _stream(head, said, reason, usage if wants_usage else None)
        message = {"role": "assistant", "content": "".join(said), "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
        return {**head, "object": "chat.completion", "choices": [choice], "usage": usage}


def answer(job: Job | None, question: str) -> str:
    """A base model repeats; a tuned one answers as its training's most similar example does."""
    if job is None or not job.examples:
        return f"You said: {question}"
    asked = set(question.lower().split())
    pairs = [pair for one in job.examples if (pair := _pair(one)) is not None]
    best = max(pairs, key=lambda pair: len(asked & set(pair[0].lower().split())), default=("", "I was trained."))
    return best[1]


def page(found: list[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
    """The part of a list, newest first, that `after` and `limit` ask for."""
    limit, after = int(query.get("limit", 20)), query.get("after")
    ids = [one["id"] for one in found]
    start = ids.index(after) + 1 if after in ids else 0
    part = found[start : start + limit]
    return {
        "object": "list",
        "data": part,
        "first_id": part[0]["id"] if part else None,
        "last_id": part[-1]["id"] if part else None,
        "has_more": len(found) > start + limit,
    }


def _examples(content: bytes) -> list[dict[str, Any]]:
    found = []
    for line in content.decode("utf-8", "replace").splitlines():
        try:
            one = json.loads(line)
        except ValueError:
            return []
        if isinstance(one, dict):
            found.append(one)
    return found


def _pair(example: dict[str, Any]) -> tuple[str, str] | None:
    """The last question and its answer, of a chat or of a preference example."""
    messages = example.get("messages") or (example.get("input") or {}).get("messages") or []
    answers = [*messages, *(example.get("preferred_output") or [])]
    question = next((one["content"] for one in messages[::-1] if one.get("role") == "user"), None)
    said = next((one["content"] for one in answers[::-1] if one.get("role") == "assistant"), None)
    return (question, said) if isinstance(question, str) and isinstance(said, str) else None


def _checkpoint(job: Job, step: int) -> dict[str, Any]:
    return {
        "id": f"ftckpt-{job.id.removeprefix('ftjob-')}-{step}",
        "object": "fine_tuning.job.checkpoint",
        "created_at": job.created,
        "fine_tuned_model_checkpoint": job.tuned if step == TOTAL_STEPS else f"{job.tuned}:ckpt-step-{step}",
        "fine_tuning_job_id": job.id,
        "metrics": next((one for one in job.metrics if one["step"] == step), {"step": step}),
        "step_number": step,
    }


def _model(name: str, job: Job | None) -> dict[str, Any]:
    owner = "system" if job is None else "org-stand-in"
    shutdown = BASE_MODELS.get(name if job is None else job.asked["model"])
    return {"id": name, "object": "model", "created": 1_750_000_000, "owned_by": owner, "shutdown_date": shutdown}


def _refuse_as_a_reasoning_model(asked: dict[str, Any]) -> None:
    if "max_tokens" in asked:
        message = "Unsupported parameter: 'max_tokens' is not supported with this model."
        raise Problem(400, message, "unsupported_parameter", "max_tokens")
    if asked.get("temperature", 1) != 1:
        message = "Unsupported value: 'temperature' does not support 0.0 with this model."
        raise Problem(400, message, "unsupported_value", "temperature")


def _stream(head: dict[str, Any], words: list[str], reason: str, usage: dict[str, Any] | None) -> Iterator[Any]:
    head = {**head, "object": "chat.completion.chunk"}

    def event(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}]}

    yield event({"role": "assistant", "content": ""})
    for word in words:
        yield event({"content": word})
    yield event({}, reason)
    if usage is not None:
        yield {**head, "choices": [], "usage": usage}
