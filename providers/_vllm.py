"""Chat with vLLM in place of our own model server, on a host with a GPU.

    VLLM_ALLOW_RUNTIME_LORA_UPDATING=True vllm serve BASE --served-model-name NAME --enable-lora

vLLM holds one base model. An adapter is loaded there, by its folder, before it is first asked, under its name with a
mark of its content, so that a new version is never taken for the old one. An adapter whose folder is gone here is
unloaded when the next one is loaded.
"""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import httpx2
import structlog

from providers._openai_api.errors import Vendor
from providers._openai_compatible import OpenAICompatibleChat
from providers.base import ChatChunk, ChatRequest
from providers.errors import InvalidRequest, NotAllowed, NotConfigured, NotFound, ProviderError, Unavailable

log = structlog.get_logger()

NAME = "vLLM"
LOAD_SECONDS = 120.0
CONNECT_SECONDS = 5.0
MARK = "@"
"""Between an adapter's name and the mark of its content."""


@dataclass(frozen=True)
class _Card:
    """A model that vLLM lists. `root` is its path there; an adapter has a `parent`."""

    id: str
    root: str
    parent: str


class VllmChat:
    """Answers by vLLM. Safe in threads."""

    def __init__(self, url: str, models: Path, there: str, *, api_key: str = "") -> None:
        """`models` is the folder of tuned models here, `there` the same folder as vLLM's host sees it."""
        self._models = models
        self._there = PurePosixPath(there)
        self._vendor = Vendor(NAME, secrets=(api_key,) if api_key else ())
        self._chat = OpenAICompatibleChat(f"{url}/v1", api_key=api_key or "none", name=NAME)
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx2.Client(
            base_url=url, headers=headers, timeout=httpx2.Timeout(LOAD_SECONDS, connect=CONNECT_SECONDS)
        )
        self._loaded: dict[str, str] = {}  # adapters that were there when last looked at: names -> ids
        self._lock = threading.Lock()

    def stream(self, request: ChatRequest) -> Iterator[ChatChunk]:
        """Yield the answer piece by piece. An adapter that is not there is loaded first, once more if it has gone."""
        known = self._loaded.get(request.model, "")
        if not known or known != self._wanted(request.model):
            if self._folder(request.model) is not None:
                yield ChatChunk(stage="loading the model")
            known = self._ready(request.model)
        try:
            yield from self._chat.stream(replace(request, model=known))
        except NotFound:  # vLLM was started anew
            self._loaded.pop(request.model, None)
            yield ChatChunk(stage="loading the model")
            yield from self._chat.stream(replace(request, model=self._ready(request.model)))

    def models(self) -> Sequence[str]:
        """The base model, and the adapters on it that lie here."""
        bases = [one.id for one in self._cards() if not one.parent]
        return [*bases, *sorted(path.name for path in self._folders() if _is_adapter(path))]

    def unload(self, model: str) -> None:
        """Let vLLM forget an adapter, in all its versions. One that is not there is forgotten already."""
        for card in self._cards():
            if card.parent and card.id.rpartition(MARK)[0] == model:
                self._unload(card.id)

    def close(self) -> None:
        """Close the kept connections."""
        self._chat.close()
        self._http.close()

    def _ready(self, model: str) -> str:
        """The name by which vLLM answers as this model now. Raises ProviderError."""
        with self._lock:
            cards = self._cards()
            folder = self._folder(model)
            if folder is None or not _is_adapter(folder):
                return _served(model, folder, self._there, cards)
            wanted = _id(folder)
            base = _base_model(folder)
            parents = [one for one in cards if not one.parent]
            if not any(_is_called(one, base) for one in parents):
                raise NotConfigured(
                    f"vLLM serves {_named(parents)}, but {model} was tuned from {base}. Start vLLM with that base "
                    f"model and --served-model-name {base}, or take FINETUNE_BOT_SERVE_KIND away."
                )
            if wanted not in {one.id for one in cards}:
                self._forget_the_gone(cards)
                self._load(wanted, str(self._there / model), model)
            self._loaded[model] = wanted
            return wanted

    def _wanted(self, model: str) -> str:
        """What vLLM should call an adapter's present version; empty if it is no adapter of ours."""
        folder = self._folder(model)
        return _id(folder) if folder is not None and _is_adapter(folder) else ""

    def _folder(self, model: str) -> Path | None:
        """The folder of a tuned model; its name is only compared."""
        return next((path for path in self._folders() if path.name == model), None)

    def _folders(self) -> list[Path]:
        try:
            return [path for path in self._models.iterdir() if path.is_dir() and not path.name.startswith(".")]
        except FileNotFoundError:
            return []

    def _load(self, name: str, path: str, model: str) -> None:
        status, said = self._post("/v1/load_lora_adapter", {"lora_name": name, "lora_path": path})
        if status == 200 or (status == 400 and "already been loaded" in said):
            log.info("vllm_adapter_loaded", name=name)
            return
        words = self._vendor.says(said)
        if status == 404 and "adapter" not in said.lower():
            raise NotConfigured(
                "vLLM does not load adapters while it runs. Start it with --enable-lora and "
                "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True in its environment."
            )
        if status == 404:
            raise NotConfigured(
                f"vLLM does not find the adapter of {model} at {path}. Share the folder of tuned models with its host, "
                f"and set FINETUNE_BOT_SERVE_MODELS to where it lies there. {words}".strip()
            )
        if status in {401, 403}:
            raise NotAllowed(f"vLLM refuses the key. Set FINETUNE_BOT_SERVE_KEY. {words}".strip())
        if status == 400 or "rank" in said.lower():
            raise InvalidRequest(
                f"vLLM cannot load the adapter of {model}. If its rank is above vLLM's, start vLLM with a higher "
                f"--max-lora-rank. {words}".strip()
            )
        raise Unavailable(f"vLLM could not load the adapter of {model}. {words}".strip(), detail=f"status {status}")

    def _forget_the_gone(self, cards: Sequence[_Card]) -> None:
        """Unload adapters of ours whose folder, or whose version of it, is not here any more."""
        present = {_id(path) for path in self._folders() if _is_adapter(path)}
        for card in cards:
            ours = card.parent and MARK in card.id and PurePosixPath(card.root).parent == self._there
            if ours and card.id not in present:
                try:
                    self._unload(card.id)
                except ProviderError as error:  # it does no harm there, and is tried again with the next one
                    log.warning("vllm_adapter_not_unloaded", name=card.id, problem=error.user_message)

    def _unload(self, name: str) -> None:
        status, said = self._post("/v1/unload_lora_adapter", {"lora_name": name})
        if status not in {200, 404}:
            raise Unavailable(f"vLLM could not unload {name}. {self._vendor.says(said)}".strip())
        self._loaded = {model: known for model, known in self._loaded.items() if known != name}
        log.info("vllm_adapter_unloaded", name=name)

    def _cards(self) -> list[_Card]:
        status, said = self._call("GET", "/v1/models")
        if status in {401, 403}:
            raise NotAllowed("vLLM refuses the key. Set FINETUNE_BOT_SERVE_KEY.")
        try:
            listed = json.loads(said)["data"] if status == 200 else []
            return [_Card(*(str(one.get(name) or "") for name in ("id", "root", "parent"))) for one in listed]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            words = "What answers at FINETUNE_BOT_SERVE_URL is no vLLM."
            raise Unavailable(words, detail=type(error).__name__) from None

    def _post(self, path: str, body: Mapping[str, str]) -> tuple[int, str]:
        status, said = self._call("POST", path, body)
        return status, _message(said)

    def _call(self, method: str, path: str, body: Mapping[str, str] | None = None) -> tuple[int, str]:
        try:
            answer = self._http.request(method, path, json=body)
            return answer.status_code, answer.text
        except httpx2.TimeoutException:
            raise Unavailable("vLLM took too long to answer. Try again.") from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Unavailable("vLLM cannot be reached just now.", detail=type(error).__name__) from None


def _served(model: str, folder: Path | None, there: PurePosixPath, cards: Sequence[_Card]) -> str:
    """The card of a base model, or of a tuned one with weights of its own. Raises NotConfigured."""
    for card in cards:
        if card.id == model or (not card.parent and _is_called(card, model)):
            return card.id
        if folder is not None and not card.parent and PurePosixPath(card.root) == there / model:
            return card.id
    parents = [one for one in cards if not one.parent]
    raise NotConfigured(
        f"vLLM serves {_named(parents)}, not {model}. It holds one base model: start one with this model and "
        f"--served-model-name {model}, or take FINETUNE_BOT_SERVE_KIND away."
    )


def _is_called(card: _Card, name: str) -> bool:
    return name in {card.id, card.root}


def _named(cards: Sequence[_Card]) -> str:
    return ", ".join(one.id for one in cards)[:200] or "nothing"


def _is_adapter(folder: Path) -> bool:
    return (folder / "adapter_config.json").is_file() and (folder / "adapter_model.safetensors").is_file()


def _id(folder: Path) -> str:
    """What vLLM calls the version of an adapter that lies here."""
    stats = [(folder / name).stat() for name in ("adapter_model.safetensors", "adapter_config.json")]
    mark = hashlib.sha256(repr([(one.st_mtime_ns, one.st_size) for one in stats]).encode()).hexdigest()[:8]
    return f"{folder.name}{MARK}{mark}"


def _base_model(folder: Path) -> str:
    try:
        return str(json.loads((folder / "model.json").read_text())["base_model"])
    except (OSError, ValueError, KeyError, TypeError):
        raise NotFound(f"The folder of {folder.name} does not say which base model it was tuned from.") from None


def _message(said: str) -> str:
    """The words of an answer, in the shapes that vLLM's versions have given errors."""
    try:
        data: Any = json.loads(said)
    except ValueError:
        return said
    inner = data.get("error", data) if isinstance(data, dict) else data
    return str(inner.get("message") or inner.get("detail") or said) if isinstance(inner, dict) else str(inner)
