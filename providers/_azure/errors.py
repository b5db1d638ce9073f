"""What Azure's client libraries raise, translated into `providers.errors`.

Like their siblings of OpenAI's library, these errors carry requests with tokens: what is raised here has no cause.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DeserializationError,
    HttpResponseError,
    SerializationError,
    ServiceRequestError,
    ServiceResponseError,
)

from providers._openai_api.errors import Vendor, retry_after
from providers.errors import (
    InvalidRequest,
    NotAllowed,
    NotConfigured,
    NotFound,
    ProviderError,
    RateLimited,
    Unavailable,
)

NOBODY_HAS = frozenset(
    {"SubscriptionNotFound", "ResourceGroupNotFound", "ParentResourceNotFound", "InvalidSubscriptionId"}
)
"""Codes that say that not the thing itself is missing, but what it would be in."""

_ENTRA_CODE = re.compile(r"\bAADSTS(\d{4,9})\b")
_BUSY = re.compile(r"\bHTTP status: 429\b")
_ENTRA: Mapping[str, str] = {
    "7000215": "the client secret is wrong (its value is needed, not its id)",
    "7000222": "the client secret has expired: make a new one in the app registration",
    "700016": "there is no app with this client id in this tenant",
    "7000112": "the app is switched off",
    "90002": "there is no tenant with this id",
    "900023": "the tenant id is not one",
    "53003": "a rule of conditional access forbids it",
}
_ENTRA_PASSING = frozenset({"90033", "90055", "50196", "90024", "650054"})
_QUOTA = frozenset({"InsufficientQuota", "QuotaExceeded", "InsufficientSubscriptionQuota"})


@contextmanager
def translated(
    vendor: Vendor, *, role: str = "", thing: str = "resource", smaller: str = "another tier"
) -> Iterator[None]:
    """Raise what Azure's libraries raise inside as a ProviderError.

    `role` is the one that is needed for what is done; `thing` is what was asked for, should it not be there; `smaller`
    is what to choose where the quota does not suffice.
    """
    try:
        yield
    except (AzureError, SerializationError, DeserializationError, UnicodeError) as error:
        problem = translate(error, vendor, role=role, thing=thing, smaller=smaller)
    except ValueError as error:  # of the library that fetches tokens: it could not read who gives them
        problem = _entra(_inner(error), None, vendor, _detail(error, vendor))
    else:
        return
    raise problem from None  # a traceback shows neither cause nor context, whose words were not cleaned


def translate(
    error: Exception, vendor: Vendor, *, role: str = "", thing: str = "resource", smaller: str = "another tier"
) -> ProviderError:
    """The provider error that says the same as one of Azure's libraries'."""
    detail, said = _detail(error, vendor), str(error)
    status = getattr(error, "status_code", None)
    if "CERTIFICATE_VERIFY_FAILED" in said:
        words = "Azure's certificate is not trusted here. A proxy's belongs into FINETUNE_BOT_CA_BUNDLE."
        return Unavailable(words, detail=detail)
    if isinstance(error, ClientAuthenticationError) and (_is_about_tokens(said) or status is None):
        return _entra(_inner(error), status, vendor, detail, _wait(error))
    if isinstance(error, HttpResponseError) and isinstance(status, int) and status >= 300:
        if code_of(error) in _QUOTA:
            words = (
                f"The Azure subscription has not enough quota left for this. Choose {smaller}, or ask Azure for more."
            )
            return NotAllowed(f"{words} {_said(error, vendor)}", detail=detail)
        return _by_status(error, status, vendor, detail, role, thing)
    if "non-TLS" in said:
        return NotConfigured("Azure's addresses must begin with https://. Look at the installation's settings.")
    if isinstance(error, SerializationError):
        return InvalidRequest(f"{vendor.name} cannot be asked for this: {vendor.clean(said)}", detail=detail)
    if isinstance(error, ServiceRequestError):
        return Unavailable("Azure cannot be reached. Try again.", detail=detail)
    if isinstance(error, ServiceResponseError):
        return Unavailable("Azure took too long to answer, or broke off. Try again.", detail=detail)
    return Unavailable("Azure answered with something that cannot be read. Try again.", detail=detail)


def code_of(error: HttpResponseError) -> str:
    """Azure's code for what went wrong, or ""."""
    code = getattr(error.error, "code", None)
    return code if isinstance(code, str) else ""


def _by_status(
    error: HttpResponseError, status: int, vendor: Vendor, detail: str, role: str, thing: str
) -> ProviderError:
    code, said = code_of(error), _said(error, vendor)
    if status == 401:
        return NotAllowed(f"Azure refuses our sign-in. An admin can renew it: /finetune keys. {said}", detail=detail)
    if status == 403:
        needed = f" Our app needs the role {role} on the resource." if role else ""
        return NotAllowed(f"Azure does not let our app do this.{needed} {said}", detail=detail)
    if status == 404 and code in NOBODY_HAS:
        words = f"Azure has no such subscription, resource group or resource. Check them: /finetune keys. {said}"
        return NotConfigured(words, detail=detail)
    if status == 404:
        return NotFound(f"{vendor.name} does not have this {thing}. {said}".strip(), detail=detail)
    if status == 409:
        words = f"Azure is still at something else there. Try again in a moment. {said}"
        return Unavailable(words, detail=detail, retry_after=_wait(error))
    if status == 429:
        return RateLimited("Azure is busy. Try again in a moment.", detail=detail, retry_after=_wait(error))
    if status >= 500 or status == 408:
        words = f"Azure is in trouble (status {status}). Try again in a moment."
        return Unavailable(words, detail=detail, retry_after=_wait(error))
    return InvalidRequest(f"{vendor.name} rejects this. {said}".strip(), detail=detail)


def _entra(said: str, status: int | None, vendor: Vendor, detail: str, wait: float | None = None) -> ProviderError:
    """What went wrong while a token was asked for."""
    code = next(iter(_ENTRA_CODE.findall(said)), "")
    if status == 429 or _BUSY.search(said):
        return RateLimited("Azure's sign-in is busy. Try again in a moment.", detail=detail, retry_after=wait)
    if code in _ENTRA_PASSING or (not code and (status is None or status >= 500)):
        return Unavailable("Azure's sign-in (Entra ID) is in trouble. Try again in a moment.", detail=detail)
    why = _ENTRA.get(code) or vendor.clean(said, 200) or "it does not say why"
    words = f"Azure does not let us sign in: {why}. An admin can renew the credentials: /finetune keys"
    return NotAllowed(words, detail=detail)


def _inner(error: BaseException) -> str:
    """What it says, and what those say that it was raised for: the library for tokens hides who refused why."""
    said, seen = [], set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        said.append(str(one))
        one = one.__cause__ or one.__context__
    return "\n".join(said)


def _is_about_tokens(said: str) -> bool:
    return bool(_ENTRA_CODE.search(said)) or said.startswith(
        ("Authentication failed", "Unexpected response from Microsoft")
    )


def _said(error: HttpResponseError, vendor: Vendor) -> str:
    """Azure's own words, with those of what lies inside; cleaned, and marked as its own."""
    parsed = error.error
    words = [getattr(one, "message", None) for one in (parsed, *(getattr(parsed, "details", None) or ()))]
    return vendor.says(" ".join(one for one in words if isinstance(one, str)), 400)


def _wait(error: Exception) -> float | None:
    headers = getattr(getattr(error, "response", None), "headers", None)
    return None if headers is None else retry_after(headers)


def _detail(error: Exception, vendor: Vendor) -> str:
    return f"{type(error).__name__}: {vendor.clean(str(error), 500)}"
