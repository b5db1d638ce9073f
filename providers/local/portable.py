"""A base model and its examples for a trainer with older libraries of its own, and its adapter taken back.

python -P -m providers.local.portable write --base-model NAME --method sft --train FILE --cache FOLDER FOLDER
python -P -m providers.local.portable adopt --base-model NAME --trained FOLDER --cache FOLDER FOLDER

`write` leaves base/, data/train.parquet and written.json in the folder: each example is text, rendered with the model's
own chat template just as the model server renders questions. `adopt` leaves model/, which the model server reads.
A problem that people can mend is one line of JSON on the standard output, and the exit status 2.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from providers.base import Method
from providers.errors import InvalidRequest, ProviderError, TrainingFailed
from providers.local import base_models
from providers.local.settings import shut_off

SMALL_BYTES = 4_000_000_000
"""A model whose weights take less need not recompute activations to save memory."""
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
)
_ADAPTER = "adapter_model.safetensors"
_SETTINGS = "adapter_config.json"
_LEARNT = ".lora_"


@dataclass(frozen=True)
class Written:
    """What was written, in tokens; and what the machine is like."""

    examples: int
    tokens: int
    longest: int
    longest_prompt: int
    context: int
    small: bool
    gpu: bool
    bf16: bool
    warnings: Sequence[str] = ()


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m providers.local.portable", description=__doc__)
    parser.add_argument("act", choices=["write", "adopt"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--base-model", required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--method", type=Method, default=Method.SFT)
    parser.add_argument("--train", type=Path)
    parser.add_argument("--trained", type=Path)
    given = parser.parse_args()
    shut_off()
    try:
        base = base_models.find(given.base_model, given.cache)
        if given.act == "write":
            write(base, given.method, given.train, given.folder)
        else:
            adopt(base, given.base_model, given.trained, given.folder)
    except ProviderError as error:
        sys.stdout.write(json.dumps({"problem": error.user_message}) + "\n")
        return 2
    return 0


def write(base: Path, method: Method, train: Path, folder: Path) -> Written:
    """The model, the examples and what is to be known of them. Raises InvalidRequest."""
    import pyarrow as pa
    import torch
    from pyarrow import parquet
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    if not tokenizer.chat_template:
        raise InvalidRequest("This base model has no chat template. Choose one that was made for chat.")
    older_model(base, folder / "base")
    rows, warnings = _rows(train, method, tokenizer)
    sizes = [_sizes(row, tokenizer) for row in rows]
    (folder / "data").mkdir(exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(rows), folder / "data" / "train.parquet")
    config = json.loads((base / "config.json").read_text())
    gpu = torch.cuda.is_available()
    written = Written(
        examples=len(rows),
        tokens=sum(whole for whole, _ in sizes),
        longest=max(whole for whole, _ in sizes),
        longest_prompt=max(prompt for _, prompt in sizes),
        context=int(config.get("max_position_embeddings") or 2048),
        small=sum(path.stat().st_size for path in base.glob("*.safetensors")) < SMALL_BYTES,
        gpu=gpu,
        bf16=gpu and bool(torch.cuda.is_bf16_supported(including_emulation=False)),
        warnings=warnings,
    )
    (folder / "written.json").write_text(json.dumps(asdict(written)))
    return written


def older_model(base: Path, target: Path) -> None:
    """The same model as libraries before transformers 5 read it: their settings, links to its weights."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for path in base.iterdir():
        if path.is_file() and path.suffix != ".py" and path.name not in {"config.json", "tokenizer_config.json"}:
            (target / path.name).symlink_to(path.resolve())
    config = json.loads((base / "config.json").read_text())
    (target / "config.json").write_text(json.dumps(_older_config(config), indent=1))
    place = base / "tokenizer_config.json"
    settings = json.loads(place.read_text()) if place.is_file() else {}
    if settings.get("tokenizer_class") in {None, "TokenizersBackend"}:
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    extra = settings.get("extra_special_tokens")
    if isinstance(extra, list):  # a list since transformers 5, under another name before
        settings["additional_special_tokens"] = settings.pop("extra_special_tokens")
    (target / "tokenizer_config.json").write_text(json.dumps(settings, indent=1))


def _older_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Transformers 5 gathers what turns positions into angles under one name; earlier versions know others.

    They would not miss them: they would train with angles of their own. Raises InvalidRequest where there is no
    older way to say it.
    """
    older = dict(config)
    if "auto_map" in older:
        raise InvalidRequest("This base model brings code of its own, which is not run here. Choose another one.")
    if "dtype" in older:
        older.setdefault("torch_dtype", older.pop("dtype"))
    angles = older.pop("rope_parameters", None)
    if angles is None:
        return older
    if any(isinstance(value, Mapping) for value in angles.values()):
        raise InvalidRequest("AutoTrain's libraries are too old for this base model. Let this machine's trainer do it.")
    rest = {name: value for name, value in angles.items() if name != "rope_theta"}
    if "rope_theta" in angles:
        older.setdefault("rope_theta", angles["rope_theta"])
    if "partial_rotary_factor" in rest:
        older.setdefault("partial_rotary_factor", rest.pop("partial_rotary_factor"))
    if rest.get("rope_type", "default") != "default":
        older.setdefault("rope_scaling", rest)
    return older


def _rows(path: Path, method: Method, tokenizer: Any) -> tuple[list[dict[str, str]], list[str]]:
    rows, unlearnt = [], 0
    for number, record in _records(path):
        if method is Method.DPO:
            rows.append(_pair(number, record, tokenizer))
        else:
            messages = _messages(number, record.get("messages"), tokenizer)
            rows.append({"text": _without_ends(_render(number, tokenizer, messages), tokenizer)})
            unlearnt += any(one.get("weight") == 0 for one in record["messages"])
    if not rows:
        raise InvalidRequest("The training file has no examples.")
    said = f"AutoTrain learns every answer: {unlearnt} examples have some that were marked not to be learnt."
    return rows, [said] if unlearnt else []


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if not isinstance(record, dict):
                raise InvalidRequest(f"Line {number} of the training file is no JSON object.")
            yield number, record


def _messages(number: int, given: Any, tokenizer: Any) -> list[dict[str, Any]]:
    """Messages as the chat template takes them. Raises InvalidRequest."""
    told: list[dict[str, Any]] = []
    for one in given if isinstance(given, list) else []:
        content = one.get("content") if isinstance(one, dict) else None
        calls = bool(one.get("tool_calls")) if isinstance(one, dict) else False
        if not isinstance(one, dict) or not isinstance(one.get("role"), str) or not (isinstance(content, str) or calls):
            told = []
            break
        if calls and "tool_calls" not in str(tokenizer.chat_template):
            raise InvalidRequest(f"Line {number} calls a tool, which this base model's chat template has no words for.")
        role = "system" if one["role"] == "developer" else one["role"]
        told.append({**one, "content": content or "", "role": role})
    if not told:
        raise InvalidRequest(f"Line {number} of the training file is not a list of messages with text.")
    return told


def _pair(number: int, record: Mapping[str, Any], tokenizer: Any) -> dict[str, str]:
    """A preference as AutoTrain's columns; the answers begin where the server asks for one."""
    asked = record.get("input")
    prompt = _messages(number, asked.get("messages") if isinstance(asked, dict) else None, tokenizer)
    before = _render(number, tokenizer, prompt, ask=True)
    row = {"prompt": _without_beginning(before, tokenizer)}
    for column, key in (("text", "preferred_output"), ("rejected_text", "non_preferred_output")):
        answer = _messages(number, record.get(key), tokenizer)
        whole = _render(number, tokenizer, [*prompt, *answer])
        if not whole.startswith(before):
            raise InvalidRequest(
                "The base model's chat template writes an answer differently from how it asks for one. "
                "Choose another base model."
            )
        row[column] = _without_end(whole[len(before) :], tokenizer)
        if not row[column]:
            raise InvalidRequest(f"Line {number} has an empty answer.")
    return row


def _render(number: int, tokenizer: Any, messages: list[dict[str, Any]], *, ask: bool = False) -> str:
    from jinja2 import TemplateError

    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=ask))
    except TemplateError as error:
        raise InvalidRequest(f"Line {number} does not suit the base model's chat template: {error}"[:300]) from error


def _without_ends(text: str, tokenizer: Any) -> str:
    """Without the marks that AutoTrain puts around every example itself."""
    return _without_end(_without_beginning(text, tokenizer), tokenizer)


def _without_beginning(text: str, tokenizer: Any) -> str:
    begin = tokenizer.bos_token
    adds = begin and tokenizer.bos_token_id in tokenizer("a")["input_ids"][:1]
    return text.removeprefix(begin) if adds else text


def _without_end(text: str, tokenizer: Any) -> str:
    end = tokenizer.eos_token or ""
    stripped = text.rstrip()
    return stripped.removesuffix(end) if end and stripped.endswith(end) else text


def _sizes(row: Mapping[str, str], tokenizer: Any) -> tuple[int, int]:
    """Tokens of the whole example with its end, and of its prompt."""
    counts = {name: len(tokenizer(text)["input_ids"]) for name, text in row.items()}
    prompt = counts.get("prompt", 0)
    return prompt + max(counts["text"], counts.get("rejected_text", 0)) + 1, prompt


def adopt(base: Path, name: str, trained: Path, folder: Path) -> None:
    """Make a model of an adapter that another trainer has written. Raises TrainingFailed: it has learnt nothing."""
    import numpy as np
    from safetensors.numpy import load_file, save_file

    weights = {key: value for key, value in load_file(trained / _ADAPTER).items() if _LEARNT in key}
    if not weights or not all(np.isfinite(value).all() for value in weights.values()):
        raise TrainingFailed("The training ended with weights that are no numbers. Choose a lower learning rate.")
    if not any(value.any() for key, value in weights.items() if f"{_LEARNT}B" in key):
        raise TrainingFailed("The training has changed nothing. Raise the epochs or the learning rate.")
    partial = folder / "model.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_file(weights, partial / _ADAPTER, metadata={"format": "pt"})
    settings = json.loads((trained / _SETTINGS).read_text())
    settings |= {"base_model_name_or_path": str(base), "inference_mode": True}
    (partial / _SETTINGS).write_text(json.dumps(settings, indent=1, sort_keys=True))
    for file in TOKENIZER_FILES:
        if (base / file).is_file():
            shutil.copy(base / file, partial / file)
    (partial / base_models.MODEL_FILE).write_text(json.dumps({"base_model": name}))
    target = folder / "model"
    shutil.rmtree(target, ignore_errors=True)
    partial.replace(target)


if __name__ == "__main__":
    sys.exit(main())
