"""How much memory a training takes, estimated before it starts. Needs no torch: forms and plans ask as well.

The coefficients were fitted to peaks of SmolLM2-135M measured on a processor (docs/local.md has the table): what
autograd keeps of a layer of a Llama-like model, for each token, is about 20 times its width and 8 times the width of
its inner layer, in the numbers that are computed with.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from providers.base import Hyperparameter

MARGIN = 1.2
"""What is asked for above the estimate: memory is lost between the pieces."""
LIBRARIES = 350_000_000
"""Bytes of the libraries themselves, on a processor."""
LIBRARIES_ON_GPU = 900_000_000
"""Bytes of a GPU's memory that its own libraries take."""
_ADAM = 8
"""Bytes of the optimiser's two averages for each number that is trained; a quarter of it in 8 bits."""
_WIDTHS, _INNER_WIDTHS = 20, 8
_OF_A_LOGIT = 12
"""Bytes beside the logit itself: as 32 bits, its softmax, its gradient."""
_QUANTISED: Mapping[str, float] = {"nf4": 0.53, "int8": 1.05}
"""Bytes of a weight, with the scales of its block."""


@dataclass(frozen=True)
class Shape:
    """What of a model's configuration its memory depends on."""

    layers: int
    width: int
    inner_width: int
    vocabulary: int
    key_value_width: int
    tied: bool = True
    """Whether the first and the last layer are the same numbers."""
    context: int = 2048

    @property
    def linear(self) -> int:
        """The numbers in a layer's matrices."""
        return 2 * self.width * self.width + 2 * self.width * self.key_value_width + 3 * self.width * self.inner_width

    @property
    def embeddings(self) -> int:
        """The numbers in the first and the last layer."""
        return self.vocabulary * self.width * (1 if self.tied else 2)

    @property
    def parameters(self) -> int:
        """All numbers of the model."""
        return self.layers * (self.linear + 2 * self.width) + self.embeddings + self.width

    def adapter(self, rank: int) -> int:
        """The numbers of a LoRA adapter on all linear layers."""
        sides = 4 * self.width + 2 * (self.width + self.key_value_width) + 3 * (self.width + self.inner_width)
        return self.layers * rank * sides


@dataclass(frozen=True)
class Need:
    """Bytes, by what they are for."""

    weights: int
    trained: int
    """Gradients and the optimiser's memory."""
    activations: int
    logits: int
    libraries: int

    @property
    def total(self) -> int:
        """All of them, with the margin."""
        pieces: list[int] = [getattr(self, one.name) for one in fields(self)]
        return math.ceil(sum(pieces) * MARGIN)


def shape(config: Mapping[str, Any]) -> Shape | None:
    """Of a model's `config.json`; None where it is of a kind that these sums are not for."""
    inside = config.get("text_config")
    part: Mapping[str, Any] = inside if isinstance(inside, Mapping) else config
    try:
        width, heads = int(part["hidden_size"]), int(part["num_attention_heads"])
        head = int(part.get("head_dim") or width // heads)
        found = Shape(
            layers=int(part["num_hidden_layers"]),
            width=width,
            inner_width=int(part.get("intermediate_size") or 4 * width),
            vocabulary=int(part["vocab_size"]),
            key_value_width=head * int(part.get("num_key_value_heads") or heads),
            tied=bool(part.get("tie_word_embeddings", config.get("tie_word_embeddings", True))),
            context=int(part.get("max_position_embeddings") or 2048),
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return found if min(found.layers, found.width, found.vocabulary, found.inner_width) > 0 else None


def shape_of(folder: Path) -> Shape | None:
    """Of the model in a folder; None where there is none, or its configuration cannot be read."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return shape(config) if isinstance(config, dict) else None


def need(
    model: Shape, knobs: Mapping[str, Hyperparameter], *, rows: int, tokens: int, learnt: float, bits: int, gpu: bool
) -> Need:
    """What a step of `rows` examples of `tokens` each takes, `learnt` of them (0 to 1) as answers.

    `bits` are those that are computed with: 16 or 32. Knobs that are not there are as in `Knobs`.
    """
    full = knobs.get("tuning") == "full"
    quantised = _QUANTISED.get(str(knobs.get("quantization", "none")))
    computed = bits // 8
    held = computed if gpu and not full else 4
    weights = model.parameters * held
    if quantised is not None:
        weights = round(model.layers * model.linear * quantised + model.embeddings * held)
    if not gpu and computed == 2:
        weights += model.layers * model.linear * 2  # each step's copy in 16 bits
    trained = model.parameters if full else model.adapter(int(knobs.get("lora_r", 16)))
    averages = _ADAM / 4 if str(knobs.get("optimizer", "")).endswith("8bit") else _ADAM
    if knobs.get("optimizer") == "adafactor":
        averages = 1
    of_a_layer = (_WIDTHS * model.width + _INNER_WIDTHS * model.inner_width) * computed
    count = rows * tokens
    activations = count * model.layers * of_a_layer
    if knobs.get("gradient_checkpointing") == "on":
        activations = count * (model.layers * model.width * 8 + 2 * of_a_layer)
    return Need(
        weights=weights,
        trained=round(trained * (4 + averages) + (0 if full else trained * 4)),
        activations=round(activations),
        logits=round(count * learnt * model.vocabulary * (2 * computed + _OF_A_LOGIT)),
        libraries=LIBRARIES_ON_GPU if gpu else LIBRARIES,
    )


def most_rows(
    model: Shape,
    knobs: Mapping[str, Hyperparameter],
    *,
    available: int,
    most: int,
    tokens: int,
    learnt: float,
    bits: int,
    gpu: bool,
) -> int:
    """The most examples a step, a power of two up to `most`, that fit into `available` bytes; 0 where not one does."""
    rows = 1 << max(0, most.bit_length() - 1)
    while rows and need(model, knobs, rows=rows, tokens=tokens, learnt=learnt, bits=bits, gpu=gpu).total > available:
        rows //= 2
    return rows
