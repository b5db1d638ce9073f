"""The baseline of training: the plain script's own, step by step.

python -m benchmarks.plain_training BASE_MODEL_FOLDER STEPS

Prints one JSON line: the seconds of each step, the tokens of its batch, its loss.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.plain_trl import train


def main() -> None:
    """Train for so many steps."""
    base, steps = Path(sys.argv[1]), int(sys.argv[2])
    import transformers

    parent: Any = transformers.TrainerCallback

    class Watch(parent):  # type: ignore[misc]
        """When each step ended, and with which loss."""

        ends: list[float]
        losses: list[float]

        def __init__(self) -> None:
            self.ends, self.losses = [], []

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            """The first step begins."""
            self.ends.append(time.monotonic())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            """A step has ended."""
            self.ends.append(time.monotonic())

        def on_log(self, *_: Any, logs: dict[str, Any] | None = None, **__: Any) -> None:
            """Its loss."""
            if logs and "loss" in logs:
                self.losses.append(float(logs["loss"]))

    watch = Watch()
    with tempfile.TemporaryDirectory(prefix="plain-training-") as folder:
        train(base, Path(folder), callbacks=[watch], max_steps=steps, logging_steps=1)
    seconds = [after - before for before, after in zip(watch.ends, watch.ends[1:], strict=False)]
    print(json.dumps({"seconds": seconds, "losses": watch.losses}))


if __name__ == "__main__":
    main()
