"""AutoTrain's log, read as it grows: figures, what it is doing, and why it failed.

    INFO     | 2026-11-25 07:39:07 | autotrain.trainers.common:on_log:367 - {'loss': 7.38, …, 'epoch': 0.05}
    ERROR    | 2026-11-25 07:44:10 | autotrain.trainers.common:wrapper:216 - train has failed due to an exception: …
      1%|▏         | 1/80 [00:00<00:05, 14.48it/s]

It logs every step (we ask for that), but not the step's number: they are counted. Its exit status says nothing.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from providers.base import MetricPoint

_LINE = re.compile(r"^(INFO|WARNING|ERROR|CRITICAL) +\| [\d-]+ [\d:]+ \| ([\w.]+):(\w+):\d+ - (.*)$")
_FIGURE = re.compile(r"'(\w+)': (-?(?:\d[\d.]*(?:e[+-]?\d+)?|nan|inf))")
_BAR = re.compile(r"^\s*\d+%\|[^|]*\| *(\d+)/(\d+) \[[^\]]*\]")
_NAMED = re.compile(r"^(?:[\w.]+\.)?\w*(?:Error|Exception|Interrupt): .+")
_MOST_AT_ONCE = 1 << 20
_LONGEST_LINE = 10_000
_STAGES = {
    "process_input_data": "reading the examples",
    "get_model": "loading the model",
    "on_train_begin": "training",
    "post_training_steps": "saving",
}
MEMORY = (
    "This machine ran out of memory during the training. Choose a smaller batch size or shorter examples, "
    "then start again."
)
_KNOWN = (
    (re.compile(r"out of memory|can't allocate memory|std::bad_alloc|SIGKILL|Signals\.SIGKILL", re.IGNORECASE), MEMORY),
    (
        re.compile(r"does not recognize this architecture|model type .* but Transformers does not", re.IGNORECASE),
        "AutoTrain's libraries are too old for this base model. Let this machine's own trainer do it: “This machine”.",
    ),
    (
        re.compile(r"no space left on device", re.IGNORECASE),
        "The disk of this machine became full during the training. Make room there, then start again.",
    ),
)


@dataclass
class LogReader:
    """Reads one log from where it stood, the byte `offset`.

    `tokens_a_step` makes a speed of the pace; `started` is when the training began, in the seconds that `read` is told.
    """

    path: Path
    tokens_a_step: int = 0
    stage: str = ""
    step: int = 0
    total: int | None = None
    errors: list[str] = field(default_factory=list)
    started: float | None = None
    offset: int = 0
    _stepped: float | None = None
    _rest: str = ""
    _last_words: str = ""

    def read(self, now: float) -> list[MetricPoint]:
        """What is new; `now` in seconds, as of any clock that only goes forward."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read(_MOST_AT_ONCE)
        except FileNotFoundError:
            return []
        data = data[: max(data.rfind(b"\n"), data.rfind(b"\r")) + 1]
        self.offset += len(data)
        lines = re.split(r"[\r\n]", data.decode(errors="replace"))
        points = [point for line in lines if line and (point := self._line(line[:_LONGEST_LINE])) is not None]
        return self._timed(points, now)

    def _line(self, line: str) -> MetricPoint | None:
        if bar := _BAR.match(line):  # which ends in no newline, so that a line of the log may stand behind it
            self.total = int(bar[2]) if self.stage == "training" else self.total
            line = line[bar.end() :]
        found = _LINE.match(line)
        if found is None:
            if _NAMED.match(line.strip()):
                self._last_words = line.strip()
            return None
        level, module, function, words = found.groups()
        if not module.startswith("autotrain"):
            return None
        if level in {"ERROR", "CRITICAL"}:
            self.errors.append(words)
        elif function == "on_log":
            return self._figures(words)
        elif function in _STAGES:
            self.stage = _STAGES[function]
        return None

    def _figures(self, words: str) -> MetricPoint | None:
        figures = {name: float(value) for name, value in _FIGURE.findall(words)}
        if "loss" not in figures:
            return None  # the summary at the end
        self.step += 1
        return MetricPoint(
            step=self.step,
            epoch=figures.get("epoch"),
            loss=figures["loss"],
            learning_rate=figures.get("learning_rate"),
        )

    def _timed(self, points: list[MetricPoint], now: float) -> list[MetricPoint]:
        if self.stage == "training" and self.started is None:
            self.started = now
        if not points:
            return points
        since, self._stepped = self._stepped or self.started, now
        seconds = now - since if since is not None else 0.0
        if seconds <= 0 or not self.tokens_a_step:
            return points
        speed = round(self.tokens_a_step * len(points) / seconds, 1)
        return [MetricPoint(**{**vars(point), "tokens_per_second": speed}) for point in points]

    def eta(self, now: float) -> float | None:
        """How many seconds of training are left, from the pace so far."""
        if self.total is None or self.started is None or not self.step or now <= self.started:
            return None
        return max(0.0, (self.total - self.step) * (now - self.started) / self.step)

    @property
    def failure(self) -> str:
        """What it said last of its own failing; empty where it said nothing."""
        said = self.errors[-1] if self.errors else self._last_words
        return " ".join(said.split())[:300]


def why(reader: LogReader, code: int) -> str:
    """Why there is no model, for people."""
    tail = _tail(reader.path)
    for pattern, words in _KNOWN:
        if pattern.search(" ".join(reader.errors)) or pattern.search(tail):
            return words
    if reader.failure:
        return f"AutoTrain failed: {reader.failure}"
    if code == 128 + 9:
        return MEMORY
    return "AutoTrain ended without a model and without saying why. Start it again; if that repeats, look into its log."


def _tail(path: Path, size: int = 20_000) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - size))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
