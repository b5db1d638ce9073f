"""Signing in: by key or as an app, over TLS of one's own, and everything that Entra ID may say."""

import sys
import time
from pathlib import Path

import pytest

from providers import azure_openai
from providers.credentials import problems
from providers.errors import NotAllowed, NotConfigured, ProviderError, RateLimited, Unavailable
from providers.settings import ProviderSettings
from tests.contracts.azure_openai import KEY, SECRET
from tests.contracts.azure_openai_http import Answer, LoopbackServer


def check(settings, credentials):
    return azure_openai.build_models(settings, credentials).check()


def test_the_forms_own_check_takes_what_the_stand_in_gives(azure, settings):
    for credentials in (azure.credentials(), azure.credentials(key=True), azure.credentials(hosting=False)):
        assert not problems("azure_openai", credentials, more_hosts=settings.more_azure_hosts)


def test_by_key_and_as_an_app(azure, settings):
    assert "lets us fine-tune" in check(settings, azure.credentials(key=True))
    assert not azure.control.asked
    assert "lets us fine-tune" in check(settings, azure.credentials(hosting=False))
    sent = [one["headers"]["authorization"] for one in azure.plane.calls()]
    assert sent[0] == f"Bearer {KEY}"
    assert sent[1].removeprefix("Bearer ") in azure.entra.tokens
    assert {one["path"].partition("?")[0] for one in azure.plane.calls()} == {"/openai/v1/fine_tuning/jobs"}


def test_a_key_that_was_given_counts_at_the_resource_and_the_app_in_its_manager(azure, settings):
    both = {**azure.credentials(), "api_key": KEY}
    assert "It can host" in check(settings, both)
    assert [one["headers"]["authorization"] for one in azure.plane.calls()] == [f"Bearer {KEY}"]
    assert {scope for scope, _ in azure.entra.tokens.values()} == {f"{azure.management_url}/.default"}


def test_a_token_is_asked_for_once_and_again_when_it_has_run_out(azure, settings):
    models = azure_openai.build_models(settings, azure.credentials(hosting=False))
    for _ in range(3):
        models.check()
    assert len(azure.control.requests("POST", "/token")) == 1
    azure.entra.lifetime = 1
    short = azure_openai.build_models(settings, azure.credentials(hosting=False))
    short.check()
    time.sleep(1.1)
    short.check()
    assert len(azure.control.requests("POST", "/token")) == 3


def test_a_secret_that_is_changed_there_while_we_run(azure, settings):
    azure.entra.lifetime = 1
    models = azure_openai.build_models(settings, azure.credentials(hosting=False))
    models.check()
    azure.entra.secret = "another one"
    time.sleep(1.1)
    with pytest.raises(NotAllowed, match=r"the client secret is wrong.*finetune keys"):
        models.check()
    azure.entra.secret = SECRET
    models.check()


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("client_secret", "wrong", "the client secret is wrong"),
        ("client_id", "99999999-9999-4999-8999-999999999999", "no app with this client id"),
        ("tenant_id", "99999999-9999-4999-8999-999999999999", "no tenant with this id"),
    ],
)
def test_what_is_wrong_with_the_app_is_said(azure, settings, field, value, words):
    with pytest.raises(NotAllowed) as caught:
        check(settings, {**azure.credentials(), field: value})
    assert words in caught.value.user_message
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (
            {"status": 503, "body": {"error": "temporarily_unavailable", "error_description": "AADSTS90033: later"}},
            Unavailable,
        ),
        ({"status": 500, "body": b"<html>oh no"}, Unavailable),
        ({"status": 200, "body": b"<html>login"}, Unavailable),
        ({"status": 200, "body": [1, 2]}, Unavailable),
        ({"status": 200, "body": {"access_token": None, "expires_in": "soon"}}, Unavailable),
        ({"status": 429, "body": {"error": "throttled"}, "headers": {"retry-after": "7"}}, None),
        (
            {"status": 401, "body": {"error": "invalid_client", "error_description": "AADSTS7000222: expired"}},
            NotAllowed,
        ),
        ({"cut": True}, Unavailable),
        ({"half": True}, Unavailable),
        ({"status": 302, "body": b"", "headers": {"location": "https://127.0.0.1:1/"}}, Unavailable),
    ],
)
@pytest.mark.parametrize("place", ["POST entra:/token", "GET entra:/openid-configuration"])
def test_trouble_at_the_sign_in(azure, settings, fault, kind, place):
    azure.fault(place, **fault, times=99)
    models = azure_openai.build_models(settings, azure.credentials(hosting=False))
    started = time.monotonic()
    with pytest.raises(ProviderError) as caught:
        models.check()
    assert type(caught.value) in ({kind} if kind else {RateLimited, Unavailable}), caught.value
    assert caught.value.retryable is (kind is not NotAllowed)
    assert time.monotonic() - started < 8
    assert SECRET not in str(caught.value)
    for one in azure.control.faults:
        one.times = 0
    assert "lets us fine-tune" in check(settings, azure.credentials(hosting=False))


def test_certificates_of_another_authority_are_not_trusted(azure, settings):
    unsure = settings.model_copy(update={"ca_bundle": ""})
    with pytest.raises(Unavailable, match="FINETUNE_BOT_CA_BUNDLE"):
        check(unsure, azure.credentials(hosting=False))
    assert not azure.entra.tokens


def test_the_usual_certificates_count_beside_ours(azure, settings):
    from providers._azure import trust

    text = Path(trust.bundle(settings)).read_text()
    assert text.count("BEGIN CERTIFICATE") > 50
    assert Path(azure.ca_bundle).read_text() in text
    assert trust.context(settings).cert_store_stats()["x509_ca"] > 50
    assert trust.bundle(settings) == trust.bundle(settings)


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n"])
def test_a_bundle_that_is_none(azure, settings, tmp_path, content):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NotConfigured, match="FINETUNE_BOT_CA_BUNDLE"):
        check(settings.model_copy(update={"ca_bundle": str(path)}), azure.credentials(key=True))


def test_the_resource_itself_over_tls(azure, settings):
    front = LoopbackServer(lambda _: Answer(body={"object": "list", "data": [], "has_more": False}), tls=azure.tls)
    front.start()
    try:
        there = settings.model_copy(update={"azure_hosts": front.url.removeprefix("https://")})
        credentials = {"endpoint": front.url, "api_key": KEY}
        assert "lets us fine-tune" in check(there, credentials)
        with pytest.raises(Unavailable):
            check(there.model_copy(update={"ca_bundle": ""}), credentials)
    finally:
        front.stop()


def test_the_management_address_must_be_https(azure, settings):
    plain = settings.model_copy(update={"azure_management_url": "http://127.0.0.1:9"})
    with pytest.raises(NotConfigured, match="https"):
        check(plain, azure.credentials())


def test_an_endpoint_that_is_not_azures(azure, settings, tmp_path):
    elsewhere = ProviderSettings(home=tmp_path)
    for endpoint in (azure.endpoint, "https://evil.example/openai.azure.com", ""):
        with pytest.raises(NotConfigured, match="endpoint"):
            azure_openai.build_training(elsewhere, {"endpoint": endpoint, "api_key": KEY})


def test_no_way_to_sign_in(azure, settings):
    with pytest.raises(NotConfigured, match="API key or an app registration"):
        azure_openai.build_chat(settings, {"endpoint": azure.endpoint})


def test_what_hosting_needs_is_named(azure, settings):
    with pytest.raises(NotConfigured) as caught:
        azure_openai.build_hosting(settings, azure.credentials(key=True))
    for words in ("Subscription id", "Resource group", "Azure OpenAI resource name", "Entra client secret"):
        assert words in caught.value.user_message
    half = {**azure.credentials(), "account": ""}
    with pytest.raises(NotConfigured, match=r"needs more: Azure OpenAI resource name\."):
        azure_openai.build_hosting(settings, half)


@pytest.mark.parametrize("package", ["azure.identity", "azure.mgmt.cognitiveservices"])
def test_without_azures_packages_a_key_still_works(azure, settings, monkeypatch, package):
    for name in [one for one in sys.modules if one == package or one.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    assert "lets us fine-tune" in check(settings, azure.credentials(key=True))
    with pytest.raises(NotConfigured, match="make azure"):
        check(settings, azure.credentials())
