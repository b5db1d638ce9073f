"""Where a base model's own tokenizer lies on this machine, for whoever counts tokens without loading the model."""

from pathlib import Path

TOKENIZER_FILE = "tokenizer.json"


def unpacked(name: str, cache: Path) -> Path:
    """The folder into which the packaged base model `name` is unpacked when it is first used."""
    return cache / "base-models" / name


def find(name: str, cache: Path) -> Path | None:
    """The tokenizer of a base model (a packaged one's name or a folder); None until it has been unpacked."""
    folder = Path(name) if Path(name).is_absolute() else unpacked(name, cache)
    path = folder / TOKENIZER_FILE
    return path if path.is_file() else None
