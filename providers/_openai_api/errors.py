"""What can go wrong between us and a vendor of OpenAI's protocol, translated into `providers.errors`.

Vendors echo keys in their words, and the client library's errors carry the request with its headers: whatever is
raised here was cleaned and shows no cause in a traceback.
"""

import json
import math
import re
import time
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import mktime_tz, parsedate_tz

import httpx2
import openai
from openai._exceptions import SubjectTokenProviderError
from openai.lib.azure import MutuallyExclusiveAuthError

from providers.errors import (
    InvalidRequest,
    NotAllowed,
    NotConfigured,
    NotFound,
    ProviderError,
    RateLimited,
    Unavailable,
)

LONGEST_WAIT = 86_400.0
"""Seconds: a vendor that asks for more is asked again after a day."""
BROKE_OFF = "{} broke off in the middle of its answer. Try again."

RAISED = (
    openai.OpenAIError,
    httpx2.HTTPError,
    httpx2.InvalidURL,
    httpx2.StreamError,
    json.JSONDecodeError,  # a broken event of a stream
    UnicodeError,
)
"""What may come out of a call of the client library."""

_BILLING = frozenset(
    {"insufficient_quota", "exceeded_quota", "billing_hard_limit_reached", "billing_not_active", "quota_exceeded"}
)
_NOT_THIS_MODEL = re.compile(r"model_not_available|not available for fine-?tuning|cannot be fine-?tuned", re.IGNORECASE)
_CLOSED = re.compile(
    r"""unknown_url | invalid\ url | not\ allowed\ to\ (create|train|fine-?tune)
    | fine[-_ ]?tuning .{0,120}? (
        (no\ longer|not|not\ currently)\ (available|supported|enabled|allowed|accessible|permitted)
        | wind | wound | deprecat | retired | closed | discontinu | ended | disabled
    )
    | (no\ longer | not\ (allowed|permitted|eligible|able)) .{0,80}? fine[-_ ]?tun""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_KEYS = re.compile(r"\b(?:sk|sess|rk|pk|whsec)[-_][\w*.\-]{6,}|\bBearer\s+\S+|\beyJ[\w-]+\.[\w.-]+", re.IGNORECASE)

_BY_CLASS: Mapping[type[openai.OpenAIError], type[ProviderError]] = {
    openai.APITimeoutError: Unavailable,
    openai.APIConnectionError: Unavailable,
    openai.APIResponseValidationError: Unavailable,
    openai.APIError: Unavailable,
    openai.LengthFinishReasonError: InvalidRequest,
    openai.ContentFilterFinishReasonError: NotAllowed,
    openai.WebSocketConnectionClosedError: Unavailable,
    openai.WebSocketQueueFullError: Unavailable,
    SubjectTokenProviderError: NotConfigured,
    MutuallyExclusiveAuthError: NotConfigured,
    openai.OpenAIError: NotConfigured,  # bare: no key was given, or the library is used wrongly
}
"""What is no answer with a status; a class that is not here counts as the nearest one it derives from."""


@dataclass(frozen=True)
class Vendor:
    """How a vendor is called in words to people, what they can do there, and what nobody may ever read."""

    name: str  # begins a sentence: "OpenAI"
    console: str = ""  # the address where people look after their account
    keys_help: str = ""  # what to do about refused credentials, a sentence
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def clean(self, text: object, limit: int = 300) -> str:
        """The vendor's own words, fit to be shown: one line, no control characters, no keys, shortened."""
        if not isinstance(text, str):
            return ""
        words = text[:20_000]
        if len(text) > len(words):
            words = words.rpartition(" ")[0]  # half a key would not be known as one
        words = "".join(one if unicodedata.category(one)[0] != "C" else " " for one in words)
        for secret in self.secrets:
            words = words.replace(secret, "[secret]") if secret else words
        words = " ".join(_KEYS.sub("[key]", words).split())
        return words if len(words) <= limit else f"{words[: limit - 1].rstrip()}…"

    def says(self, text: object, limit: int = 300) -> str:
        """The vendor's own words, cleaned and marked as its own; empty where it said nothing."""
        words = self.clean(text, limit)
        return f"{self.name} says: “{words}”" if words else ""


@contextmanager
def translated(vendor: Vendor, thing: str = "model") -> Iterator[None]:
    """Raise what the client library, or the connection below it, raises inside as a ProviderError.

    `thing` is what was asked for, should it not be there: "model", "training", "file".
    """
    try:
        yield
    except RAISED as error:
        raise translate(error, vendor, thing) from None  # the cause's words were not cleaned


def translate(error: Exception, vendor: Vendor, thing: str = "model") -> ProviderError:
    """The provider error that says the same as the client library's, or as its HTTP library's."""
    if isinstance(error, openai.APIStatusError):
        return _by_status(error, vendor, thing)
    name, detail = vendor.name, _detail(error, vendor)
    if isinstance(error, openai.APITimeoutError | httpx2.TimeoutException):
        return Unavailable(f"{name} took too long to answer. Try again.", detail=detail)
    if isinstance(error, openai.APIConnectionError):
        return Unavailable(f"{name} cannot be reached just now.", detail=detail)
    if isinstance(error, httpx2.InvalidURL | httpx2.UnsupportedProtocol | UnicodeEncodeError):
        return NotConfigured(f"{name}'s address or credentials hold characters that none can have.", detail=detail)
    kind = next((_BY_CLASS[one] for one in type(error).__mro__ if one in _BY_CLASS), Unavailable)
    if kind is Unavailable:  # an error event in the middle of a stream, or an answer of no known shape
        return Unavailable(BROKE_OFF.format(name), detail=detail)
    if kind is NotAllowed:
        return NotAllowed(f"{name}'s content filter refuses this.", detail=detail)
    return kind(f"{name} could not be asked: {vendor.clean(str(error))}", detail=detail)


def refused_creation(error: openai.APIStatusError, vendor: Vendor) -> ProviderError:
    """Why no provider job was created: the account's and the base model's reasons are told apart from ours."""
    problem = translate(error, vendor, "file")
    if error.status_code not in {400, 403, 404} or is_about_billing(error):
        return problem
    said = vendor.says(_message(error))
    words = f"{error.code} {error.type} {vendor.clean(error.message)}"
    if _NOT_THIS_MODEL.search(words):
        text = f"{vendor.name} does not fine-tune this base model for this account. Choose another one. {said}"
        return NotAllowed(text.strip(), detail=problem.detail)
    if error.status_code == 403 or _CLOSED.search(words):
        text = (
            f"{vendor.name} does not let this account create fine-tuning jobs (any more). An admin can look at the "
            f"account{f' at {vendor.console}' if vendor.console else ''}, or train the same dataset at another "
            f"provider. {said}"
        )
        return NotAllowed(text.strip(), detail=problem.detail)
    return problem


def is_about_billing(error: openai.APIStatusError) -> bool:
    """Whether the account lacks money or quota, which no waiting mends."""
    return error.status_code == 402 or bool(_BILLING & {str(error.code), str(error.type)})


def nothing_was_sent(error: openai.APIConnectionError) -> bool:
    """Whether the connection failed before the request can have reached the vendor."""
    before = (
        httpx2.ConnectError,
        httpx2.ConnectTimeout,
        httpx2.PoolTimeout,
        httpx2.ProxyError,
        httpx2.UnsupportedProtocol,
        httpx2.LocalProtocolError,
    )
    return isinstance(error.__cause__, before)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """How many seconds the vendor wants us to wait, told in seconds, milliseconds or as a date."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if not math.isnan(seconds):
            return min(max(seconds, 0.0), LONGEST_WAIT)
    try:
        at = parsedate_tz(headers.get("retry-after", ""))
        return None if at is None else min(max(mktime_tz(at) - time.time(), 0.0), LONGEST_WAIT)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None


def _by_status(error: openai.APIStatusError, vendor: Vendor, thing: str) -> ProviderError:
    name, status, detail = vendor.name, error.status_code, _detail(error, vendor)
    said, wait = vendor.says(_message(error)), retry_after(error.response.headers)
    if is_about_billing(error):
        where = f" Look at its billing page ({vendor.console})." if vendor.console else ""
        text = f"The account at {name} has no credit or quota left, and waiting does not help.{where} {said}"
        return NotAllowed(text.strip(), detail=detail)
    if status == 404:
        return NotFound(f"{name} does not have this {thing}. {said}".strip(), detail=detail)
    if status == 429:
        return RateLimited(f"{name} is busy. Try again in a moment.", detail=detail, retry_after=wait)
    if status == 401:
        text = f"{name} refuses our credentials. {_sentence(vendor.keys_help)} {said}"
        return NotAllowed(" ".join(text.split()), detail=detail)
    if status == 403:
        return NotAllowed(f"{name} refuses our credentials for this {thing}. {said}".strip(), detail=detail)
    if status == 413:
        return InvalidRequest(f"{name} finds what was sent too large. {said}".strip(), detail=detail)
    if status >= 500 or status < 400 or status in {408, 409}:
        text = f"{name} is not ready or in trouble (status {status}). Try again in a moment."
        return Unavailable(text, detail=detail, retry_after=wait)
    return InvalidRequest(f"{name} rejects what was asked. {said}".strip(), detail=detail)


def _sentence(text: str) -> str:
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


def _message(error: openai.APIStatusError) -> object:
    return error.body.get("message") if isinstance(error.body, dict) else None


def _detail(error: Exception, vendor: Vendor) -> str:
    """For the log: which error, the vendor's id of the request, and the cleaned words."""
    request_id = getattr(error, "request_id", None)
    suffix = f" [request {vendor.clean(request_id, 80)}]" if isinstance(request_id, str) else ""
    return f"{type(error).__name__}: {vendor.clean(str(error), 500)}{suffix}"
