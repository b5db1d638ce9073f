"""One base model in memory, with the adapters of the tuned models that are asked for."""

from pathlib import Path
from typing import Any

import structlog
import torch
from peft import PeftConfig, inject_adapter_in_model, set_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from providers.errors import InvalidRequest
from providers.local import base_models
from providers.local.serving.catalogue import Entry

log = structlog.get_logger()

MOST_ADAPTERS = 8
"""Kept in memory at once; the one that was used longest ago goes first."""
_PREFIX = "base_model.model."


class Weights:
    """A base model and its adapters. Not for several threads."""

    def __init__(self, folder: Path) -> None:
        """Load the base model in `folder`: 32 bits on a processor, where decoding is quickest in them."""
        self._folder = folder
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        dtype = torch.bfloat16 if self._device.type == "cuda" else torch.float32
        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True)
        self.model = model.to(self._device).eval().requires_grad_(requires_grad=False)
        self._adapters: dict[str, str] = {}  # what is loaded, by its folder and version; the oldest use first
        self._tokenizers: dict[str, Any] = {}
        self._serial = 0
        self._active: str | None = None

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self._device

    @property
    def context(self) -> int:
        """How many tokens the model can have before it, question and answer together."""
        return int(getattr(self.model.config, "max_position_embeddings", 2048))

    def ready(self, entry: Entry, in_use: frozenset[str]) -> str:
        """Load the entry's adapter unless it is loaded; returns the key for `activate`.

        `in_use` are keys that must stay loaded. Raises InvalidRequest if the adapter does not fit.
        """
        key = _key(entry)
        if key not in self._tokenizers:
            source = entry.adapter or self._folder
            self._tokenizers[key] = AutoTokenizer.from_pretrained(source, local_files_only=True)
        if entry.adapter is None:
            return key
        if key in self._adapters:
            self._adapters[key] = self._adapters.pop(key)
            return key
        for old in [one for one in self._adapters if one not in in_use][: len(self._adapters) - MOST_ADAPTERS + 1]:
            self._unload(old)
        self._serial += 1
        self._load(entry, f"tuned{self._serial}")
        self._adapters[key] = f"tuned{self._serial}"
        self._active = "?"  # loading has switched something
        return key

    def tokenizer(self, key: str) -> Any:
        """The tokenizer with the chat template that the model was trained with."""
        return self._tokenizers[key]

    def ends(self, key: str) -> frozenset[int]:
        """The tokens that end an answer."""
        return base_models.end_tokens(self._folder, self._tokenizers[key])

    def activate(self, key: str) -> None:
        """From now on the model answers as this one."""
        if key == self._active:
            return
        adapter = self._adapters.get(key)
        for module in self._layers():
            module.enable_adapters(enabled=adapter is not None)
            if adapter is not None:
                module.set_adapter(adapter, inference_mode=True)
        self._active = key

    def _layers(self) -> list[BaseTunerLayer]:
        return [module for module in self.model.modules() if isinstance(module, BaseTunerLayer)]

    def _load(self, entry: Entry, name: str) -> None:
        assert entry.adapter is not None
        config = PeftConfig.from_pretrained(str(entry.adapter))
        config.inference_mode = True
        state = load_file(entry.adapter / "adapter_model.safetensors")
        inject_adapter_in_model(config, self.model, adapter_name=name)
        result: Any = set_peft_model_state_dict(
            self.model, {key.removeprefix(_PREFIX): value for key, value in state.items()}, adapter_name=name
        )
        missing = [key for key in result.missing_keys if f".{name}." in key]
        if missing or result.unexpected_keys or not state:
            self._remove(name)
            raise InvalidRequest(
                f"The tuned model {entry.name} does not fit its base model, so it cannot answer. Train it again.",
                detail=f"missing {missing[:3]}, unexpected {result.unexpected_keys[:3]}",
            )
        self.model.eval()
        log.info("adapter_loaded", model=entry.name, tensors=len(state))

    def _unload(self, key: str) -> None:
        self._remove(self._adapters.pop(key))
        self._tokenizers.pop(key, None)

    def _remove(self, name: str) -> None:
        for module in self._layers():
            module.delete_adapter(name)
        self._active = "?"


def _key(entry: Entry) -> str:
    return f"{entry.adapter}@{entry.version}" if entry.adapter else ""
