"""No error of Azure's libraries is forgotten, and none carries a secret further."""

import traceback

import azure.core.exceptions as core
import azure.identity
import azure.mgmt.cognitiveservices
import pytest

from providers._azure.errors import translate, translated
from providers._openai_api.errors import Vendor
from providers.errors import (
    InvalidRequest,
    NotAllowed,
    NotConfigured,
    NotFound,
    ProviderError,
    RateLimited,
    Unavailable,
)

VENDOR = Vendor("Azure OpenAI", secrets=("canary",))
LIBRARIES = (azure.identity, azure.mgmt.cognitiveservices)


def subclasses(kind):
    return {kind}.union(*map(subclasses, kind.__subclasses__()))


class Answer:
    """As much of an HTTP answer as the errors look at."""

    def __init__(self, status, text="", headers=None):
        self.status_code, self.reason, self.headers, self._text = status, "because", headers or {}, text

    def text(self, *_):
        return self._text


def error_of(status, text="", headers=None, kind=core.HttpResponseError):
    return kind(message="refused", response=Answer(status, text, headers))


ALL = sorted(
    subclasses(core.AzureError) | {core.SerializationError, core.DeserializationError}, key=lambda one: one.__name__
)


@pytest.mark.parametrize("kind", ALL, ids=lambda one: one.__name__)
def test_every_error_is_one_of_ours(kind):
    error = kind.__new__(kind)
    Exception.__init__(error, "the canary says no")
    if isinstance(error, core.HttpResponseError):
        error.status_code, error.response, error.error = None, None, None
        error._error_format = None  # ODataV4Error prints it
    with pytest.raises(ProviderError) as caught, translated(VENDOR):
        raise error
    assert "canary" not in str(caught.value)
    assert caught.value.user_message
    assert "canary" not in "".join(traceback.format_exception(caught.value))


def test_there_are_as_many_as_we_know_of():
    assert len(ALL) >= 20, "the libraries were not loaded"


@pytest.mark.parametrize("module", LIBRARIES, ids=lambda one: one.__name__)
def test_the_libraries_raise_nothing_else_of_their_own(module):
    own = {one for one in vars(module).values() if isinstance(one, type) and issubclass(one, Exception)}
    assert own <= set(ALL)


@pytest.mark.parametrize(
    ("status", "code", "kind", "words"),
    [
        (400, "InvalidResourceProperties", InvalidRequest, "rejects"),
        (400, "InsufficientQuota", NotAllowed, "quota"),
        (401, "InvalidAuthenticationToken", NotAllowed, "sign-in"),
        (403, "AuthorizationFailed", NotAllowed, "the role Contributor"),
        (404, "ResourceNotFound", NotFound, "deployment"),
        (404, "ResourceGroupNotFound", NotConfigured, "resource group"),
        (404, "SubscriptionNotFound", NotConfigured, "subscription"),
        (404, "ParentResourceNotFound", NotConfigured, "resource"),
        (405, "", InvalidRequest, "rejects"),
        (408, "", Unavailable, "trouble"),
        (409, "RequestConflict", Unavailable, "still at something else"),
        (429, "TooManyRequests", RateLimited, "busy"),
        (500, "InternalServerError", Unavailable, "500"),
        (503, "", Unavailable, "503"),
        (599, "", Unavailable, "599"),
    ],
)
def test_a_status_and_a_code_become_words(status, code, kind, words):
    text = f'{{"error": {{"code": "{code}", "message": "It said \\u0007canary no."}}}}'
    headers = {"retry-after": "300"}
    found = translate(error_of(status, text, headers), VENDOR, role="Contributor", thing="deployment")
    assert type(found) is kind
    assert words in found.user_message
    assert "canary" not in str(found)
    assert "\x07" not in str(found)
    waits = status in {408, 409, 429} or status >= 500
    assert found.retry_after == (300 if waits else None)


@pytest.mark.parametrize(
    "text", ["", "<html>", "[]", "null", '{"error": null}', '{"error": {"code": 7, "message": ["x"]}}']
)
@pytest.mark.parametrize("status", [400, 403, 404, 409, 500])
def test_an_answer_of_no_known_shape(status, text):
    found = translate(error_of(status, text), VENDOR)
    assert isinstance(found, ProviderError)
    assert "None" not in found.user_message


def test_a_wait_of_no_known_shape():
    for value in ("soon", "-5", "nan", "inf", "99999999999", "Wed, 21 Oct 2015 07:28:00 GMT"):
        found = translate(error_of(429, "", {"retry-after": value}), VENDOR)
        assert found.retry_after is None or 0 <= found.retry_after <= 86_400


def test_an_answer_that_cannot_be_read_is_asked_for_again():
    assert type(translate(error_of(200, "<html>", kind=core.DecodeError), VENDOR)) is Unavailable
