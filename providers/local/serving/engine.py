"""The thread that answers: takes questions, decodes them in batches, gives the answers away piece by piece.

One base model is in memory at a time. Questions to it and to its adapters run side by side, one batch a
model; a question to another base model waits until those are done, and those that came after it wait too.
"""

import threading
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from providers.errors import InvalidRequest, NotFound, ProviderError
from providers.local import base_models
from providers.local.serving.catalogue import Catalogue
from providers.local.serving.detokenise import TextStream
from providers.local.serving.generation import Failure, Generation, Piece, Question

if TYPE_CHECKING:
    from providers.local.serving.batching import Batch, Row
    from providers.local.serving.weights import Weights
    from providers.local.threads import FairThreads

log = structlog.get_logger()

MOST_ROWS = 32
"""Answers decoded at once, all models together."""
MOST_WAITING = 256
MOST_PROMPT = 4096
"""Prompt tokens read at once; running answers stand still meanwhile."""


class Busy(Exception):
    """Too many questions wait already."""


class Engine:
    """Answers questions on a thread of its own; `ask` may be called from any thread."""

    def __init__(self, catalogue: Catalogue, find_base: Callable[[str], Any]) -> None:
        """`find_base` gives the folder of a base model, and may take its time."""
        self._catalogue = catalogue
        self._find_base = find_base
        self._waiting: deque[Generation] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._weights: Weights | None = None
        self._base = ""
        self._batches: dict[str, Batch] = {}
        self._joining: list[Row] = []
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    @property
    def catalogue(self) -> Catalogue:
        """The models that can be asked."""
        return self._catalogue

    @property
    def is_alive(self) -> bool:
        """Whether questions are being answered."""
        return self._thread.is_alive()

    @property
    def running(self) -> int:
        """Answers being written at this moment."""
        return sum(len(batch.rows) for batch in self._batches.values())

    @property
    def waiting(self) -> int:
        """Questions that have not begun to be answered."""
        return len(self._waiting)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Leave what is running unanswered, and wait for the thread's end."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def ask(self, question: Question, deliver: Callable[[Piece | Failure], None]) -> Generation:
        """Queue a question; set the result's `cancelled` when nobody wants the answer any more. Raises Busy."""
        generation = Generation(question, deliver)
        with self._changed:
            if len(self._waiting) >= MOST_WAITING:
                raise Busy
            self._waiting.append(generation)
            self._changed.notify()
        return generation

    def _run(self) -> None:
        threads = self._import()
        while True:
            with self._changed:
                while not (self._waiting or self._batches or self._stopping):
                    self._changed.wait()
                if self._stopping:
                    return
            threads.adjust()
            try:
                self._admit()
                self._step()
            except Exception as error:  # noqa: BLE001 -- the thread's edge: an answer may not end it for later ones
                self._broke(error)

    def _import(self) -> "FairThreads":
        """Load the libraries before the first question comes: it takes seconds."""
        import providers.local.serving.batching
        import providers.local.serving.weights  # noqa: F401
        from providers.local.threads import FairThreads

        return FairThreads()

    def _admit(self) -> None:
        """Let waiting questions join, as many as fit."""
        taken = self._take()
        if not taken:
            return
        rows: dict[str, list[Row]] = {}
        for generation in taken:
            try:
                key, row = self._prepare(generation)
            except ProviderError as error:
                generation.deliver(_failure(error))
            except Exception as error:  # noqa: BLE001 -- no question may end the engine for the others
                generation.deliver(_bug(error))
            else:
                rows.setdefault(key, []).append(row)
        self._joining = [row for new in rows.values() for row in new]
        for key, new in rows.items():
            self._join(key, new)
        self._joining = []

    def _take(self) -> list[Generation]:
        """The questions at the head of the queue that the base model in memory, or in an idle moment any, answers."""
        room = MOST_ROWS - self.running
        taken: list[Generation] = []
        with self._changed:
            while self._waiting and len(taken) < room:
                wanted = self._waiting[0].question.entry.base_model
                current = taken[0].question.entry.base_model if taken else self._base
                if wanted != current and (taken or self._batches):
                    break
                taken.append(self._waiting.popleft())
        return [one for one in taken if not one.cancelled.is_set()]

    def _prepare(self, generation: Generation) -> tuple[str, "Row"]:
        """Have the model ready and the question in tokens. Raises ProviderError."""
        import torch

        from providers.local.serving.batching import Row

        question = generation.question
        weights = self._loaded(question.entry.base_model)
        key = weights.ready(question.entry, frozenset(self._batches))
        tokenizer = weights.tokenizer(key)
        prompt = _tokens(tokenizer, question)
        room = weights.context - len(prompt)
        if room < 1:
            raise InvalidRequest(
                f"The conversation has {len(prompt)} tokens, but this model reads {weights.context} at most."
            )
        random = None
        if question.temperature > 0:
            random = torch.Generator()
            random.manual_seed(question.seed) if question.seed is not None else random.seed()
        stream = TextStream(tokenizer, question.stops)
        limit = min(question.max_tokens, room)
        return key, Row(generation, prompt, weights.ends(key), stream, limit, random)

    def _loaded(self, base: str) -> "Weights":
        from providers.local.serving.weights import Weights

        if self._weights is None or self._base != base:
            self._weights, self._base = None, ""  # free the old one first
            log.info("base_model_loading", base_model=base)
            self._weights = Weights(self._find_base(base))
            self._base = base
            log.info("base_model_loaded", base_model=base)
        return self._weights

    def _join(self, key: str, rows: Sequence["Row"]) -> None:
        from providers.local.serving.batching import Batch

        assert self._weights is not None
        batch = self._batches.setdefault(key, Batch(self._weights.model, self._weights.device))
        self._weights.activate(key)
        for part in _parts(rows):
            batch.join(part)
        self._drop_empty()

    def _step(self) -> None:
        for key, batch in list(self._batches.items()):
            assert self._weights is not None
            self._weights.activate(key)
            batch.step()
        self._drop_empty()

    def _drop_empty(self) -> None:
        self._batches = {key: batch for key, batch in self._batches.items() if batch.rows}

    def _broke(self, error: Exception) -> None:
        """Something that should not happen: those who wait for it are told, and all begins anew."""
        failure = _bug(error)
        for row in [*self._joining, *(row for batch in self._batches.values() for row in batch.rows)]:
            row.generation.deliver(failure)
        self._joining, self._batches = [], {}
        self._weights, self._base = None, ""


def open_engine(catalogue: Catalogue, cache: Any) -> Engine:
    """The engine of this installation."""
    return Engine(catalogue, lambda name: base_models.find(name, cache))


def _tokens(tokenizer: Any, question: Question) -> list[int]:
    from jinja2 import TemplateError

    messages = [dict(one) for one in question.messages]
    try:
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    except TemplateError as error:
        raise InvalidRequest(f"These messages do not suit the model's chat template: {error}"[:300]) from error
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _parts(rows: Sequence["Row"]) -> list[list["Row"]]:
    """Rows in groups that are not too much to read at once."""
    parts: list[list[Row]] = []
    longest = 0
    for row in sorted(rows, key=lambda one: len(one.prompt)):
        longest = max(longest, len(row.prompt))
        if not parts or longest * (len(parts[-1]) + 1) > MOST_PROMPT:
            parts.append([])
        parts[-1].append(row)
    return parts


def _bug(error: Exception) -> Failure:
    error_id = uuid.uuid4().hex[:8]
    log.error("engine_broke", error_id=error_id, exc_info=error)
    return Failure(500, "server_error", f"The model server broke at this question (error id {error_id}).")


def _failure(error: ProviderError) -> Failure:
    if isinstance(error, NotFound):
        return Failure(404, "model_not_found", error.user_message)
    if isinstance(error, InvalidRequest):
        return Failure(400, "invalid_request_error", error.user_message)
    return Failure(503, "unavailable", error.user_message)
