"""Where an Azure endpoint may lead: to Azure's own hosts, whatever somebody writes around them."""

import pytest

from providers import credentials


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://acme.openai.azure.com",
        "https://acme.openai.azure.com/",
        "https://ACME-2.openai.azure.com:443",
        "https://acme.cognitiveservices.azure.com",
        "https://acme.privatelink.services.ai.azure.com/openai",
    ],
)
def test_azures_own_hosts(endpoint):
    assert credentials.is_azure(endpoint)
    assert credentials.problems("azure_openai", {"endpoint": endpoint, "api_key": "k"}) == {}


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://.openai.azure.com",
        "https://evil.com%2f.openai.azure.com",
        "https://evil.com%23.openai.azure.com",
        "https://evil.com/.openai.azure.com",
        "https://evil.com#.openai.azure.com",
        "https://evil.com?.openai.azure.com",
        "https://evil.com\\.openai.azure.com",
        "https://evil.com\n.openai.azure.com",
        "https://evil_com.openai.azure.com",
        "https://-.openai.azure.com",
        "https://a..openai.azure.com",
        "https://\u0430cme.openai.azure.com",
        "https://me@acme.openai.azure.com",
        "https://@acme.openai.azure.com",
        "https://acme.openai.azure.com:8443",
        "https://acme.openai.azure.com:port",
        "https://acme.openai.azure.com.",
        "https://acme.openai.azure.com.evil.com",
        "https://evilopenai.azure.com",
        "http://acme.openai.azure.com",
        "https://[::1].openai.azure.com",
        "https://openai.azure.com",
        "",
    ],
)
def test_what_only_looks_like_it(endpoint):
    assert not credentials.is_azure(endpoint)
    assert "endpoint" in credentials.problems("azure_openai", {"endpoint": endpoint, "api_key": "k"})


@pytest.mark.parametrize("host", ["127.0.0.1:8443", "127.0.0.1"])
def test_hosts_that_the_settings_allow(host):
    assert credentials.is_azure("http://127.0.0.1:8443", (host,))
    assert not credentials.is_azure("http://me@127.0.0.1:8443", (host,))
    assert not credentials.is_azure("file://127.0.0.1:8443", (host,))
