"""`hf:owner/name@revision`, with `:split` behind it or not -> a folder that `source.opened` reads.

Folders under a root that an admin configured are used first: root/owner/name/revision, written by `save_to_disk`.
Otherwise the `datasets` library downloads the data; it runs no code of the dataset's. Without the library, or without
a way out, the words say so.
"""

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.dataprep.limits import DEFAULT, Limits, UnreadableDataset, megabytes

_WORD = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}"
_NAME = re.compile(
    rf"hf:(?P<owner>{_WORD})/(?P<name>{_WORD})@(?P<revision>[A-Za-z0-9_][\w./-]{{0,99}})(?::(?P<split>{_WORD}))?",
    re.ASCII,
)
_DEFAULT_SPLIT = "train"


@dataclass(frozen=True)
class HubName:
    """A dataset of the Hugging Face hub, exactly: its revision decides which bytes it is."""

    owner: str
    name: str
    revision: str
    split: str = ""

    def __str__(self) -> str:
        split = f":{self.split}" if self.split else ""
        return f"hf:{self.owner}/{self.name}@{self.revision}{split}"


Load = Callable[[HubName, Limits, Path], None]
"""Downloads a split and writes it to a folder."""


def parse(text: str) -> HubName:
    """The dataset that a text names. Raises UnreadableDataset."""
    found = _NAME.fullmatch(text.strip())
    if not found or ".." in found["revision"]:
        raise UnreadableDataset(
            "A dataset of the hub is named hf:owner/name@revision, as in hf:tatsu-lab/alpaca@dce01c9. The revision (a "
            "commit or a tag) must be given, so that it is the same data tomorrow; a split may follow, as in …:train."
        )
    return HubName(found["owner"], found["name"], found["revision"], found["split"] or "")


def fetched(
    text: str, folder: Path, *, root: Path | None = None, limits: Limits = DEFAULT, load: Load | None = None
) -> Path:
    """A folder with the named dataset: one under `root`, or a download inside `folder`. Raises UnreadableDataset."""
    wanted = parse(text)
    local = _local(wanted, root) if root else None
    if local:
        return local
    out = folder / "hub"
    (load or _download)(wanted, limits, out)
    return out


def _local(wanted: HubName, root: Path) -> Path | None:
    place = root / wanted.owner / wanted.name / wanted.revision
    if not place.is_dir() or not place.resolve().is_relative_to(root.resolve()):
        return None
    if not wanted.split or not (place / "dataset_dict.json").is_file():
        return place
    if not (place / wanted.split / "state.json").is_file():
        raise UnreadableDataset(f"{wanted} has no split named “{wanted.split}”. Leave the split out, or name another.")
    return place / wanted.split


def _download(wanted: HubName, limits: Limits, out: Path) -> None:
    try:
        datasets = importlib.import_module("datasets")  # optional, and never loaded where it is not needed
    except ImportError as error:
        raise UnreadableDataset(
            "Datasets of the hub need the `datasets` library, which is not installed here. Ask an admin to install "
            "finetune-bot[local], or attach the file itself."
        ) from error
    split = wanted.split or _DEFAULT_SPLIT
    try:
        builder: Any = datasets.load_dataset_builder(f"{wanted.owner}/{wanted.name}", revision=wanted.revision)
        size = builder.info.download_size or 0
        if size > limits.max_plain_bytes:
            raise UnreadableDataset(
                f"{wanted} is {megabytes(size)} to download, over the limit of {megabytes(limits.max_plain_bytes)}."
            )
        builder.download_and_prepare()
        builder.as_dataset(split=split).save_to_disk(str(out))
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise UnreadableDataset(
            f"{wanted} could not be read from the hub ({type(error).__name__}). Check its name, revision and split "
            f"(“{split}”), and that this machine may reach huggingface.co; private datasets need a token (HF_TOKEN)."
        ) from error
