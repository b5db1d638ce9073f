import subprocess
import sys

import pytest

from providers.base import ChatProvider, TrainingProvider
from providers.errors import NotConfigured
from providers.registry import build
from providers.settings import ProviderSettings


@pytest.fixture
def providers(tmp_path):
    return build(ProviderSettings(home=tmp_path))


def test_both_sides_of_every_provider_speak_the_protocols(providers):
    assert providers.names() == ["autotrain", "azure_ml", "azure_openai", "local", "openai", "stub"]
    for name in ("autotrain", "local", "stub"):
        assert isinstance(providers.training(name), TrainingProvider)
        assert isinstance(providers.chat(name), ChatProvider)
        assert "openai-chat" in providers.training(name).capabilities().dataset_format


def test_a_side_is_built_once(providers):
    assert providers.training("local") is providers.training("local")


@pytest.mark.parametrize("name", ["", "open_ai", "../local", "providers.stub"])
def test_an_unknown_name_says_which_there_are(providers, name):
    with pytest.raises(NotConfigured, match="local, openai, stub"):
        providers.training(name)
    with pytest.raises(NotConfigured):
        providers.chat(name)


def test_settings_come_from_the_same_variables_as_the_processes(monkeypatch, tmp_path):
    monkeypatch.setenv("FINETUNE_BOT_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("FINETUNE_BOT_SERVE_PORT", "1234")
    settings = ProviderSettings()
    assert settings.cache_folder == tmp_path / "elsewhere" / "cache"
    assert settings.model_server == "http://127.0.0.1:1234"
    monkeypatch.setenv("FINETUNE_BOT_SERVE_URL", "http://models.internal:9000/")
    assert ProviderSettings().model_server == "http://models.internal:9000"


def test_the_adapters_do_not_load_torch():
    program = (
        "import sys; from providers.registry import build; from providers.settings import ProviderSettings\n"
        "p = build(ProviderSettings()); p.training('local'); p.chat('local'); p.training('stub'); p.chat('stub')\n"
        "print(sorted({'torch', 'transformers', 'peft', 'trl', 'datasets'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
