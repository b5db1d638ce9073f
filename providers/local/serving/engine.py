"""The thread that answers: takes questions, decodes them in batches, gives the answers away piece by piece.

Questions to a base model and to all its adapters run side by side in one batch; several base models are in memory
while they fit, a batch each. A question whose model does not fit beside those that are busy waits for them, and after
some seconds they take no new questions until it has had its turn.
"""

import threading
import uuid
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from providers.errors import InvalidRequest, NotFound, ProviderError
from providers.local import base_models
from providers.local.serving.catalogue import Catalogue
from providers.local.serving.detokenise import TextStream
from providers.local.serving.fair_queue import FairQueue
from providers.local.serving.generation import Failure, Generation, Piece, Question, Stage

if TYPE_CHECKING:
    from providers.local.serving.batching import Batch, Row
    from providers.local.serving.resident import Resident
    from providers.local.threads import FairThreads

log = structlog.get_logger()

MOST_ROWS = 32
"""Answers decoded at once, all models together."""
MOST_ROWS_EACH = 24
"""And for one asker: others find a place at once."""
MOST_PROMPT = 1024
"""Prompt tokens read at once; running answers stand still meanwhile."""
TURN_SECONDS = 5.0
"""How long a question waits for a model that has no room beside the busy ones before those take no new questions."""

Deliver = Callable[[Piece | Failure | Stage], None]


class Engine:
    """Answers questions on a thread of its own; `ask` may be called from any thread."""

    def __init__(
        self, catalogue: Catalogue, find_base: Callable[[str], Path], adapter_bytes: int | None = None
    ) -> None:
        """`find_base` gives the folder of a base model, and may take its time.

        Adapters are kept in `adapter_bytes` of memory, or as their base model's size says; beside those in use.
        """
        self._catalogue = catalogue
        self._find_base = find_base
        self._adapter_bytes = adapter_bytes
        self._waiting = FairQueue()
        self._changed = threading.Condition()
        self._stopping = False
        self._resident: Resident | None = None
        self._batches: dict[str, Batch] = {}
        self._joining: deque[tuple[str, list[Row]]] = deque()
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
        return len(self._under_way())

    @property
    def waiting(self) -> int:
        """Questions that have not begun to be answered."""
        with self._changed:
            return len(self._waiting)

    @property
    def in_memory(self) -> frozenset[str]:
        """The models whose weights are in memory."""
        return self._resident.names if self._resident is not None else frozenset()

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Leave what is running unanswered, and wait for the thread's end."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def ask(self, question: Question, deliver: Deliver) -> Generation:
        """Queue a question; set the result's `cancelled` when nobody wants the answer any more. Raises Busy."""
        generation = Generation(question, deliver)
        with self._changed:
            self._waiting.add(generation)
            self._changed.notify()
        if question.entry.weights not in self.in_memory:
            deliver(Stage("loading the model"))
        return generation

    def _run(self) -> None:
        threads = self._import()
        while True:
            idle = False
            with self._changed:
                while not (self._waiting or self._batches or self._joining or self._stopping):
                    idle = True
                    self._changed.wait()
                if self._stopping:
                    return
            threads.resume() if idle else threads.adjust()
            try:
                self._admit()
                self._join()
                self._step()
            except Exception as error:  # noqa: BLE001 -- the thread's edge: an answer may not end it for later ones
                self._broke(error)

    def _import(self) -> "FairThreads":
        """Load the libraries before the first question comes: it takes seconds."""
        import providers.local.serving.batching  # noqa: F401
        from providers.local.serving.resident import Resident
        from providers.local.threads import FairThreads

        self._resident = Resident(self._find_base, self._adapter_bytes)
        return FairThreads()

    def _admit(self) -> None:
        """Make waiting questions ready to join, as many as fit."""
        room = MOST_ROWS - self.running
        if not room or not self._waiting:
            return
        rows: dict[tuple[str, int], list[Row]] = {}
        taken = self._take(room)
        busy = self._busy() | {one.question.entry.weights for one in taken}
        for generation in taken:
            try:
                row = self._prepare(generation, busy)
            except ProviderError as error:
                generation.deliver(_failure(error))
            except Exception as error:  # noqa: BLE001 -- no question may end the engine for the others
                generation.deliver(_bug(error))
            else:
                rows.setdefault((generation.question.entry.weights, id(row.adapter)), []).append(row)
        self._joining.extend((key, part) for (key, _), new in rows.items() for part in _parts(new))

    def _take(self, room: int) -> list[Generation]:
        """The next questions, in a fair order, whose models are in memory or have room beside the busy ones."""
        resident = self._resident
        assert resident is not None
        busy = self._busy()
        new: set[str] = set()

        def has_room(one: Generation) -> bool:
            return one.question.entry.weights in busy or resident.has_room(one.question.entry, busy)

        def begins(one: Generation) -> bool:
            """Whether it may. One model is loaded at a time: only then it is known what has room beside it."""
            key = one.question.entry.weights
            if (turn or key) != key or not has_room(one):
                return False
            if key not in resident.names and key not in busy:
                if new:
                    return False
                new.add(key)
            busy.add(key)
            return True

        running = Counter(row.generation.question.user for row in self._under_way())
        with self._changed:
            held_up = self._waiting.oldest(lambda one: not has_room(one), TURN_SECONDS)
            turn = held_up.question.entry.weights if held_up else None
            return self._waiting.take(room, running, MOST_ROWS_EACH, begins)

    def _prepare(self, generation: Generation, busy: Collection[str]) -> "Row":
        """Have the model ready and the question in tokens. Raises ProviderError."""
        import torch

        from providers.local.serving.batching import Row

        assert self._resident is not None
        question = generation.question
        weights = self._resident.get(question.entry, busy)
        voice = weights.voice(question.entry)
        prompt = _tokens(voice.tokenizer, question)
        room = weights.context - len(prompt)
        if room < 1:
            raise InvalidRequest(
                f"The conversation has {len(prompt)} tokens, but this model reads {weights.context} at most."
            )
        random = None
        if question.temperature > 0:
            random = torch.Generator()
            random.manual_seed(question.seed) if question.seed is not None else random.seed()
        stream = TextStream(voice.tokenizer, question.stops)
        limit = min(question.max_tokens, room)
        return Row(generation, prompt, voice.adapter, voice.ends, stream, limit, random)

    def _join(self) -> None:
        """Read the next few prompts. The others wait for the next round, so that running answers go on between."""
        from providers.local.serving.batching import Batch

        if not self._joining:
            return
        key, rows = self._joining[0]
        wanted = [row for row in rows if not row.generation.cancelled.is_set()]
        if wanted:
            assert self._resident is not None
            weights = self._resident.get(wanted[0].generation.question.entry, self._busy())
            batch = self._batches.setdefault(
                key, Batch(weights.model, weights.device, weights.stretches, weights.prefixes)
            )
            batch.join(wanted)
        self._joining.popleft()

    def _step(self) -> None:
        for batch in self._batches.values():
            if batch.rows:
                batch.step()
        self._batches = {key: batch for key, batch in self._batches.items() if batch.rows}

    def _busy(self) -> set[str]:
        """The models whose memory is needed now."""
        return {*self._batches, *(key for key, _ in self._joining)}

    def _under_way(self) -> "list[Row]":
        running = [row for batch in list(self._batches.values()) for row in batch.rows]
        return [*running, *(row for _, rows in list(self._joining) for row in rows)]

    def _broke(self, error: Exception) -> None:
        """Something that should not happen: those who wait for it are told, and all begins anew."""
        failure = _bug(error)
        for row in self._under_way():
            row.generation.deliver(failure)
        self._joining.clear()
        self._batches = {}
        if self._resident is not None:
            self._resident.clear()


def open_engine(catalogue: Catalogue, cache: Path, adapter_bytes: int | None = None) -> Engine:
    """The engine of this installation."""
    return Engine(catalogue, lambda name: base_models.find(name, cache), adapter_bytes)


def _tokens(tokenizer: Any, question: Question) -> list[int]:
    from jinja2 import TemplateError

    messages = [dict(one) for one in question.messages]
    try:
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    except TemplateError as error:
        raise InvalidRequest(f"These messages do not suit the model's chat template: {error}"[:300]) from error
    except ValueError as error:  # it has none
        raise InvalidRequest("This model has no chat template, so it cannot chat.", detail=str(error)[:200]) from error
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
