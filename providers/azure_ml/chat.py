"""Chat with a workspace's endpoints, each called by its name, over OpenAI's chat completions protocol.

An endpoint's address and key are asked for when it is first asked, and kept in memory only. A managed endpoint whose
server does not speak that protocol is asked as Azure's own servers of chat models are, in one piece.
"""

import json
import threading
import weakref
from collections import OrderedDict
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, cast
from urllib.parse import urlsplit

import httpx2
from openai import DefaultHttpxClient, OpenAI, Stream
from openai._types import Omit
from openai.types.chat import ChatCompletionChunk

from providers._azure import trust
from providers._openai_api import answers
from providers._openai_api.answers import Json
from providers._openai_api.errors import BROKE_OFF, Vendor, translated
from providers.azure_ml.workspace import NAME, UNREADABLE, Workspace, part
from providers.base import ChatChunk, ChatRequest
from providers.errors import InvalidRequest, NotAllowed, NotFound, Unavailable

SILENCE_SECONDS = 300.0
CONNECT_SECONDS = 5.0
MOST_KEPT = 256

ONLINE, SERVERLESS = "onlineEndpoints", "serverlessEndpoints"
_ROLES = frozenset({"system", "user", "assistant"})


@dataclass(frozen=True)
class _Route:
    """How an endpoint is reached."""

    client: OpenAI = field(repr=False)
    vendor: Vendor
    scoring_url: str = ""  # of a managed endpoint
    scored: bool = False  # it speaks Azure's protocol only
    counts: bool = True  # it takes the wish for token counts


class AzureMLChat:
    """Answers by a workspace's endpoints. Safe in threads."""

    def __init__(self, workspace: Workspace, *, silence: float = SILENCE_SECONDS) -> None:
        """`silence` is how many seconds an endpoint may say nothing. Raises NotConfigured."""
        self._workspace = workspace
        self._http = DefaultHttpxClient(verify=trust.context(workspace.settings))
        weakref.finalize(self, self._http.close)
        self._timeout = httpx2.Timeout(silence, connect=CONNECT_SECONDS)
        self._routes: OrderedDict[str, _Route] = OrderedDict()
        self._lock = threading.Lock()

    def stream(self, request: ChatRequest) -> Generator[ChatChunk]:
        """Yield the answer piece by piece; closing the iterator closes the connection."""
        for one in request.messages:
            if one.role not in _ROLES:
                raise InvalidRequest(f"A message cannot have the role {one.role!r}.")
        with ExitStack() as stack:
            vendor, pieces = self._begun(request, stack)
            with translated(vendor, "endpoint"):
                yield from pieces

    def models(self) -> Sequence[str]:
        """The workspace's endpoints."""
        found = [
            answers.text(one, "name") for kind in (SERVERLESS, ONLINE) for one in self._workspace.listed(f"/{kind}")
        ]
        return [one for one in found if one]

    def forget(self, name: str) -> None:
        """The endpoint's address and key are to be asked for anew."""
        with self._lock:
            self._routes.pop(name, None)

    def _begun(self, request: ChatRequest, stack: ExitStack) -> tuple[Vendor, Iterator[ChatChunk]]:
        """The endpoint's answer. What it is asked without is left out from then on; an old key is fetched anew."""
        fresh = request.model not in self._routes
        known = route = self._route(request.model)
        while True:
            try:
                with translated(route.vendor, "endpoint"):
                    pieces = _asked(route, request, stack)
            except (NotAllowed, NotFound) as error:
                if isinstance(error, NotFound) and route.scoring_url and not route.scored:
                    route = replace(route, scored=True)
                elif fresh:
                    self.forget(request.model)
                    raise
                else:
                    self.forget(request.model)
                    known = route = self._route(request.model)
                    fresh = True
            except InvalidRequest:
                if not route.counts or route.scored:
                    raise
                route = replace(route, counts=False)
            else:
                if route is not known:
                    self._keep(request.model, route)
                return route.vendor, pieces

    def _route(self, name: str) -> _Route:
        with self._lock:
            known = self._routes.get(name)
        return known or self._keep(name, self._found(name))

    def _keep(self, name: str, route: _Route) -> _Route:
        with self._lock:
            self._routes[name] = route
            self._routes.move_to_end(name)
            if len(self._routes) > MOST_KEPT:
                self._routes.popitem(last=False)
        return route

    def _found(self, name: str) -> _Route:
        """Ask the workspace for the endpoint's address and key. Raises NotFound."""
        for kind in (SERVERLESS, ONLINE):
            seen = self._workspace.look(f"/{kind}/{part(name)}", thing="endpoint")
            if seen is None:
                continue
            inside = answers.inside(seen, "properties")
            url = answers.text(answers.inside(inside, "inferenceEndpoint"), "uri") or answers.text(inside, "scoringUri")
            keys = self._workspace.post(f"/{kind}/{part(name)}/listKeys", thing="endpoint")
            key = answers.text(keys, "primaryKey") or answers.text(keys, "secondaryKey")
            if not _is_address(url) or not key:
                raise Unavailable(f"{NAME} has not given the endpoint {name} an address and a key yet. Try again.")
            return self._built(url, key, online=kind == ONLINE)
        raise NotFound(f"{NAME} has no endpoint {name} (any more). Deploy the model again.")

    def _built(self, url: str, key: str, *, online: bool) -> _Route:
        parts = urlsplit(url)
        path = "" if online else parts.path.rstrip("/").removesuffix("/chat/completions").removesuffix("/v1")
        vendor = self._workspace.vendor
        client = OpenAI(
            api_key=key,
            base_url=f"https://{parts.netloc}{path}/v1",
            # else the library takes these from this process's environment, for another vendor
            default_headers={"OpenAI-Organization": Omit(), "OpenAI-Project": Omit()},  # type: ignore[dict-item]
            http_client=self._http,
            max_retries=0,
            timeout=self._timeout,
        )
        return _Route(client, replace(vendor, secrets=(*vendor.secrets, key)), url if online else "")


def _asked(route: _Route, request: ChatRequest, stack: ExitStack) -> Iterator[ChatChunk]:
    """Ask; the answer's pieces, as they come. The connection is closed with the stack."""
    messages = [{"role": one.role, "content": one.content} for one in request.messages]
    if route.scored:
        if request.stop or request.top_p != 1.0:
            raise InvalidRequest("This endpoint takes neither texts to stop at nor a top_p. Leave them out.")
        sampling = {"do_sample": True, "temperature": request.temperature} if request.temperature else {}
        parameters = {"max_new_tokens": request.max_tokens, "return_full_text": False, **sampling}
        body = {"input_data": {"input_string": messages, "parameters": parameters}}
        return _scored(route.client.post(route.scoring_url, cast_to=httpx2.Response, body=body).content)
    wishes: dict[str, Any] = {"stream_options": {"include_usage": True}} if route.counts else {}
    wishes |= {"top_p": request.top_p} if request.top_p != 1.0 else {}
    wishes |= {"stop": list(request.stop)} if request.stop else {}
    create = route.client.chat.completions.with_streaming_response.create
    answer = stack.enter_context(
        create(
            model=request.model,
            messages=messages,  # type: ignore[arg-type]
            max_tokens=request.max_tokens,
            temperature=request.temperature,
            stream=True,
            **wishes,
        )
    )
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        return _streamed(cast(Stream[ChatCompletionChunk], answer.parse()))
    return _whole(answer.read())


def _streamed(events: Stream[ChatCompletionChunk]) -> Iterator[ChatChunk]:
    reason = prompt = completion = None
    for event in events:
        choice = event.choices[0] if event.choices else None
        text = getattr(getattr(choice, "delta", None), "content", None)
        reason = getattr(choice, "finish_reason", None) or reason
        if event.usage is not None:
            prompt, completion = event.usage.prompt_tokens, event.usage.completion_tokens
        if isinstance(text, str) and text:
            yield ChatChunk(text=text)
    if not isinstance(reason, str):
        raise Unavailable(BROKE_OFF.format(NAME))
    yield ChatChunk(finish_reason=reason, prompt_tokens=prompt, completion_tokens=completion)


def _whole(content: bytes) -> Iterator[ChatChunk]:
    """An answer that came in one piece, from a server that does not stream."""
    data = _object(content)
    choice = next(iter(answers.items(data, "choices")), {})
    usage = answers.inside(data, "usage")
    text = answers.text(answers.inside(choice, "message"), "content")
    reason = answers.text(choice, "finish_reason")
    if not reason and not text:
        raise Unavailable(UNREADABLE)
    yield ChatChunk(text=text)
    yield ChatChunk(
        finish_reason=reason or "stop",
        prompt_tokens=answers.whole(usage, "prompt_tokens"),
        completion_tokens=answers.whole(usage, "completion_tokens"),
    )


def _scored(content: bytes) -> Iterator[ChatChunk]:
    """An answer of Azure's own protocol, which has neither an end's reason nor counts."""
    text = answers.text(_object(content), "output")
    if not text:
        raise Unavailable(UNREADABLE)
    yield ChatChunk(text=text)
    yield ChatChunk(finish_reason="stop")


def _object(content: bytes) -> Json:
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise Unavailable(UNREADABLE)
    return data


def _is_address(url: str) -> bool:
    """Whether a key may be sent there: over TLS, and no user's name in it."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and bool(parts.hostname) and not parts.username
    except ValueError:
        return False
