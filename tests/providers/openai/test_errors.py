import importlib
import re
import traceback
from email.utils import formatdate
from pathlib import Path
from time import time

import httpx2
import openai
import pytest

from providers._openai_api import errors
from providers._openai_api.errors import Vendor, refused_creation, retry_after, translate, translated
from providers.errors import (
    InvalidRequest,
    NotAllowed,
    NotConfigured,
    NotFound,
    ProviderError,
    RateLimited,
    Unavailable,
)
from tests.providers.openai.conftest import CANARY

VENDOR = Vendor("OpenAI", "https://example.com/account", "Renew them.", (CANARY,))
REQUEST = httpx2.Request("POST", "http://127.0.0.1/v1/x", headers={"authorization": f"Bearer {CANARY}"})
DELIBERATE = {
    "OpenAIError": NotConfigured,
    "SubjectTokenProviderError": NotConfigured,
    "MutuallyExclusiveAuthError": NotConfigured,
    "APIRemovedInV1": NotConfigured,
    "_AmbiguousModuleClientUsageError": NotConfigured,
    "StreamAlreadyConsumed": NotConfigured,
    "MissingDependencyError": NotConfigured,
    "AgentFilePreparationError": NotConfigured,  # these four come from helpers that are not used here
    "AgentFileStagingError": NotConfigured,
    "AgentOutputParseError": NotConfigured,
    "AgentTurnResultError": NotConfigured,
    "APIError": Unavailable,
    "APIResponseValidationError": Unavailable,
    "APIConnectionError": Unavailable,
    "APITimeoutError": Unavailable,
    "WebSocketConnectionClosedError": Unavailable,
    "WebSocketQueueFullError": Unavailable,
    "LengthFinishReasonError": InvalidRequest,
    "ContentFilterFinishReasonError": NotAllowed,
    "APIStatusError": InvalidRequest,
    "BadRequestError": InvalidRequest,
    "UnprocessableEntityError": InvalidRequest,
    "AuthenticationError": NotAllowed,
    "OAuthError": NotAllowed,
    "PermissionDeniedError": NotAllowed,
    "NotFoundError": NotFound,
    "ConflictError": Unavailable,
    "RateLimitError": RateLimited,
    "InternalServerError": Unavailable,
}
"""Every error class of the client library, and what becomes of it. A new one must be thought about here."""
STATUSES = {"APIStatusError": 418, "OAuthError": 401, "InternalServerError": 503}


def subclasses(kind):
    return {kind}.union(*map(subclasses, kind.__subclasses__()))


def made(kind):
    """An error of this class, as the library would have it but for the texts."""
    error = kind.__new__(kind)
    Exception.__init__(error, f"words with {CANARY} in them")
    if issubclass(kind, openai.APIStatusError):
        status = STATUSES.get(kind.__name__) or kind.status_code
        return refusal(status, {"message": f"words with {CANARY}"}, kind=kind)
    return error


def refusal(status, error=None, headers=None, kind=None):
    response = httpx2.Response(status, headers=headers, json={"error": error or {}}, request=REQUEST)
    if kind is None:
        found = openai.OpenAI(api_key=CANARY)._make_status_error_from_response(response)
        assert isinstance(found, openai.APIStatusError)
        return found
    made_of = kind.__new__(kind)
    openai.APIStatusError.__init__(made_of, "x", response=response, body=error)
    return made_of


def test_every_error_class_of_the_client_library_is_mapped_deliberately():
    top = Path(openai.__path__[0])
    for path in top.rglob("*.py"):  # not all of them are imported with the package
        if re.search(r"^class \w+\(\w*(OpenAIError|APIError|StatusError)\)", path.read_text(), re.MULTILINE):
            parts = path.relative_to(top.parent).with_suffix("").parts
            importlib.import_module(".".join(parts).removesuffix(".__init__"))
    found = {one.__name__: one for one in subclasses(openai.OpenAIError) if one.__module__.startswith("openai")}
    assert sorted(found) == sorted(DELIBERATE)
    for name, kind in found.items():
        problem = translate(made(kind), VENDOR)
        assert type(problem) is DELIBERATE[name], name
        assert CANARY not in f"{problem!r} {problem} {problem.detail} {problem.user_message}"
        assert problem.user_message.startswith("OpenAI")


def test_every_error_class_of_the_http_library_is_mapped():
    found = subclasses(httpx2.HTTPError) | subclasses(httpx2.StreamError) | subclasses(httpx2.InvalidURL)
    assert len(found) > 20
    for kind in found:
        error = kind.__new__(kind)
        Exception.__init__(error, CANARY)
        problem = translate(error, VENDOR)
        is_about_the_address = kind in {httpx2.InvalidURL, httpx2.UnsupportedProtocol}
        assert type(problem) is (NotConfigured if is_about_the_address else Unavailable), kind
        assert CANARY not in f"{problem!r}{problem.detail}"


@pytest.mark.parametrize(
    ("help_text", "status", "message", "words"),
    [
        ("An admin renews it: /finetune keys", 401, "Incorrect API key",
         "OpenAI refuses our credentials. An admin renews it: /finetune keys. OpenAI says: “Incorrect API key”"),
        ("Renew them.", 401, None, "OpenAI refuses our credentials. Renew them."),
        ("", 401, f"No {CANARY}", "OpenAI refuses our credentials. OpenAI says: “No [secret]”"),
        ("", 400, "epochs <b>too\nhigh</b>", "OpenAI rejects what was asked. OpenAI says: “epochs <b>too high</b>”"),
        ("", 404, "", "OpenAI does not have this model."),
    ],
)  # fmt: skip
def test_the_vendors_own_words_are_marked_as_its_own(help_text, status, message, words):
    vendor = Vendor("OpenAI", "https://example.com/account", help_text, (CANARY,))
    assert translate(refusal(status, {"message": message}), vendor).user_message == words


def test_why_no_job_was_created_quotes_the_vendors_words_and_not_the_librarys():
    error = refusal(403, {"message": "Fine-tuning is winding down.", "code": "not_allowed"})
    said = refused_creation(error, VENDOR).user_message
    assert said.endswith("at another provider. OpenAI says: “Fine-tuning is winding down.”")
    assert "Error code" not in said


@pytest.mark.parametrize("code", ["insufficient_quota", "billing_hard_limit_reached"])
@pytest.mark.parametrize("field", ["code", "type"])
def test_no_money_is_no_rate_limit(code, field):
    problem = translate(refusal(429, {"message": "You exceeded your current quota", field: code}), VENDOR)
    assert type(problem) is NotAllowed
    assert not problem.retryable
    assert "no credit" in problem.user_message
    assert "example.com/account" in problem.user_message
    assert type(translate(refusal(429, {"code": "rate_limit_exceeded"}), VENDOR)) is RateLimited
    assert type(translate(refusal(402), VENDOR)) is NotAllowed


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (403, "permission_denied", ""),
        (403, None, "Fine-tuning is no longer available for this organization."),
        (400, "fine_tuning_unavailable", "Fine-tuning jobs can no longer be created: fine tuning has been deprecated."),
        (400, None, "You are not allowed to create fine-tuning jobs."),
        (404, "unknown_url", "Invalid URL (POST /v1/fine_tuning/jobs)"),
    ],
)
def test_an_account_that_may_not_fine_tune_any_more(status, code, message):
    problem = refused_creation(refusal(status, {"message": message, "code": code}), VENDOR)
    assert type(problem) is NotAllowed
    assert "does not let this account create fine-tuning jobs" in problem.user_message
    assert "example.com/account" in problem.user_message
    assert "another provider" in problem.user_message


def test_a_base_model_that_may_not_be_fine_tuned():
    said = {"message": "Model x is not available for fine-tuning or does not exist.", "code": "model_not_available"}
    problem = refused_creation(refusal(400, said), VENDOR)
    assert type(problem) is NotAllowed
    assert "Choose another one" in problem.user_message


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (400, {"message": "Invalid file", "code": "invalid_training_file"}, InvalidRequest),
        (404, {"message": "No such File object: file-1"}, NotFound),
        (429, {"code": "rate_limit_exceeded"}, RateLimited),
        (403, {"code": "insufficient_quota"}, NotAllowed),
        (503, {}, Unavailable),
    ],
)
def test_other_refusals_of_a_job_stay_what_they_are(status, said, kind):
    problem = refused_creation(refusal(status, said), VENDOR)
    assert type(problem) is kind
    assert "any more" not in problem.user_message


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "300"}, 300),  # the client library itself gives up above 120
        ({"retry-after": "99999999"}, 86_400),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, 86_400),
        ({"retry-after": "Wed, 99 Foo 99999 99:99:99 GMT"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_how_long_the_vendor_wants_us_to_wait(headers, seconds):
    assert retry_after(headers) == seconds


def test_how_long_as_a_date():
    assert retry_after({"retry-after": formatdate(time() + 600, usegmt=True)}) == pytest.approx(600, abs=3)
    assert retry_after({"retry-after": formatdate(time() - 600, usegmt=True)}) == 0


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("plain  words\nin\x00 two\x1b[31m lines\u202e", "plain words in two [31m lines"),
        ("your key sk-proj-abcdef123456 is wrong", "your key [key] is wrong"),
        ("key sk-ab******cdef here", "key [key] here"),
        ("Authorization: Bearer abc.def", "Authorization: [key]"),
        (f"key={CANARY}.", "key=[secret]."),
        ("whsec_MfKQ9r8GKYqrTwjU", "[key]"),
        (None, ""),
        ({"message": 1}, ""),
    ],
)
def test_the_vendors_words_are_cleaned(said, shown):
    assert VENDOR.clean(said) == shown


def test_the_vendors_words_are_short_and_hold_no_half_of_a_key():
    assert len(VENDOR.clean("x" * 5_000_000)) == 0  # one endless word is none
    long = VENDOR.clean("word " * 100_000)
    assert len(long) <= 300
    assert long.endswith("…")
    assert CANARY[:8] not in VENDOR.clean(" " * (20_000 - 10) + CANARY + " " * 100)


def test_nothing_of_the_cause_is_printed_with_it():
    with pytest.raises(ProviderError) as caught, translated(VENDOR):
        raise httpx2.LocalProtocolError(f"Illegal header value b'Bearer {CANARY}'")
    text = "".join(traceback.format_exception(caught.value))
    assert "OpenAI broke off" in text
    assert CANARY not in text
    assert caught.value.__suppress_context__


def test_a_vendor_does_not_show_its_secrets():
    assert CANARY not in repr(VENDOR)


def test_only_what_failed_before_anything_was_sent_is_known_not_to_have_been_sent():
    def failed(kind):
        error = openai.APIConnectionError(request=REQUEST)
        error.__cause__ = kind("x")
        return errors.nothing_was_sent(error)

    sent = {kind for kind in subclasses(httpx2.TransportError) if not failed(kind)}
    assert {httpx2.ReadTimeout, httpx2.WriteTimeout, httpx2.ReadError, httpx2.WriteError} <= sent
    assert httpx2.RemoteProtocolError in sent
    assert httpx2.ConnectError not in sent
    assert httpx2.ConnectTimeout not in sent
