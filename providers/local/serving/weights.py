"""One model in memory, with the adapters of the tuned models that are asked for."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import structlog
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from providers.errors import InvalidRequest
from providers.local import base_models
from providers.local.plain_template import load_tokenizer
from providers.local.serving import adapters, memory, mixing, prefixes
from providers.local.serving.adapters import Adapter
from providers.local.serving.catalogue import Entry
from providers.local.serving.prefixes import Prefixes

log = structlog.get_logger()

LEAST_ADAPTER_BYTES = 256 << 20
SHARE_FOR_ADAPTERS = 0.25
"""Adapters that nobody asks just now are kept while all take no more than this share of their base model's memory, or
than the bytes above it: loading one again takes a moment, an answer takes seconds."""
MOST_TOKENIZERS = 8
_TOKENIZER_FILES = ("tokenizer*", "chat_template*", "special_tokens_map.json", "added_tokens.json", "vocab*", "merges*")


@dataclass(frozen=True)
class Voice:
    """What answers as one model of the catalogue: its adapter, if it is one, and its way with words."""

    adapter: Adapter | None
    tokenizer: Any
    ends: frozenset[int]


class Weights:
    """A model and its adapters. Not for several threads."""

    def __init__(self, folder: Path, *, alone: Entry | None = None, adapter_bytes: int | None = None) -> None:
        """Load the model in `folder`: 32 bits on a processor, where decoding is quickest in them.

        `alone` is an adapter that is no plain one: PEFT applies it, and the model answers for it alone.
        Adapters are kept in `adapter_bytes` of memory. Raises InvalidRequest.
        """
        self._folder = folder
        self.device, dtype = place()
        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True)
        if alone is not None:
            model = _with(model, alone)
        self.model = model.to(self.device).eval().requires_grad_(requires_grad=False)
        self.bytes = memory.held(model)
        self._last = next((name for name, one in model.named_modules() if one is model.get_output_embeddings()), "")
        self.stretches, self._layers = mixing.prepare(model) if alone is None else (mixing.Stretches(), {})
        share = max(LEAST_ADAPTER_BYTES, int(self.bytes * SHARE_FOR_ADAPTERS))
        self._room = share if adapter_bytes is None else adapter_bytes
        self.prefixes = Prefixes(int(self.bytes * prefixes.SHARE))
        self._adapters: OrderedDict[tuple[Path, str], Adapter] = OrderedDict()  # the oldest use first
        self._tokenizers: OrderedDict[str, Any] = OrderedDict()

    @property
    def context(self) -> int:
        """How many tokens the model can have before it, question and answer together."""
        return int(getattr(self.model.config.get_text_config(), "max_position_embeddings", None) or 2048)

    @property
    def loaded(self) -> int:
        """How many adapters are kept in memory."""
        return len(self._adapters)

    def voice(self, entry: Entry) -> Voice:
        """What answers for an entry; its adapter is loaded unless it is. Raises InvalidRequest if it does not fit."""
        tokenizer = self._tokenizer(entry.own or entry.adapter or self._folder)
        ends = base_models.end_tokens(self._folder, tokenizer)
        return Voice(self._adapter(entry) if entry.adapter and entry.mixes else None, tokenizer, ends)

    def _adapter(self, entry: Entry) -> Adapter:
        assert entry.adapter is not None
        key = (entry.adapter, entry.version)
        if key not in self._adapters:
            self._adapters[key] = adapters.read(entry.adapter, entry.name, self._layers, self._last)
            while len(self._adapters) > 1 and sum(one.bytes for one in self._adapters.values()) > self._room:
                self._adapters.popitem(last=False)  # rows that still answer with it hold it until they are done
        self._adapters.move_to_end(key)
        return self._adapters[key]

    def _tokenizer(self, folder: Path) -> Any:
        """The tokenizer with the chat template that the model was trained with; equal ones are kept once."""
        files = sorted({path for pattern in _TOKENIZER_FILES for path in folder.glob(pattern) if path.is_file()})
        parts = [path.name.encode() + _digest(path, path.stat().st_mtime_ns, path.stat().st_size) for path in files]
        digest = hashlib.sha256(b"".join(parts)).hexdigest()
        if digest not in self._tokenizers:
            self._tokenizers[digest] = load_tokenizer(folder)
            while len(self._tokenizers) > MOST_TOKENIZERS:
                self._tokenizers.popitem(last=False)
        self._tokenizers.move_to_end(digest)
        return self._tokenizers[digest]


def place() -> tuple[torch.device, torch.dtype]:
    """Where models are computed here, and in which numbers."""
    if not torch.cuda.is_available():
        return torch.device("cpu"), torch.float32
    return torch.device("cuda"), torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def _with(model: Any, entry: Entry) -> Any:
    """The model with an adapter, which is not merged: where words are read and written with the same numbers, a
    merge into either changes both.
    """
    assert entry.adapter is not None
    adapters.check(load_file(entry.adapter / "adapter_model.safetensors"), entry.name)
    try:
        tuned: Any = PeftModel.from_pretrained(model, str(entry.adapter))
        return tuned.get_base_model()
    except (ValueError, RuntimeError, KeyError, NotImplementedError) as error:
        log.warning("adapter_not_applied", model=entry.name, exc_info=error)
        raise InvalidRequest(
            f"The tuned model {entry.name} does not fit its base model, so it cannot answer. Train it again.",
            detail=str(error)[:300],
        ) from error


@lru_cache(maxsize=1000)
def _digest(path: Path, _changed_at: int, _size: int) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()
