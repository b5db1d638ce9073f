"""Which of the files of one message is learnt from and which is held out: guessed, with the reason shown."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from workers.tables import DatasetRole

_WORDS = {
    "train": DatasetRole.TRAIN,
    "training": DatasetRole.TRAIN,
    "valid": DatasetRole.VALIDATION,
    "validation": DatasetRole.VALIDATION,
    "val": DatasetRole.VALIDATION,
    "dev": DatasetRole.VALIDATION,
    "test": DatasetRole.TEST,
    "eval": DatasetRole.TEST,
    "holdout": DatasetRole.TEST,
}


@dataclass(frozen=True)
class Guess:
    """A file's role and, in a few words, why."""

    role: DatasetRole
    reason: str


def guess(files: Sequence[tuple[str, int]]) -> list[Guess]:
    """The role of each (name, number of examples). One file alone is always for training."""
    if len(files) == 1:
        return [Guess(DatasetRole.TRAIN, "the only file")]
    said = [_said(name) for name, _ in files]
    if not any(role is DatasetRole.TRAIN for _, role in said):
        return _by_size(files, said)
    return [
        Guess(DatasetRole.TRAIN, "nothing in its name says otherwise") if role is None else _named(word, role, said)
        for word, role in said
    ]


def _by_size(files: Sequence[tuple[str, int]], said: list[tuple[str, DatasetRole | None]]) -> list[Guess]:
    """No name says "train": the largest of the unnamed is learnt from."""
    unnamed = [place for place, (_, role) in enumerate(said) if role is None] or list(range(len(files)))
    largest = max(unnamed, key=lambda place: (files[place][1], -place))
    guesses = []
    for place, (word, role) in enumerate(said):
        if place == largest:
            guesses.append(Guess(DatasetRole.TRAIN, "the most examples"))
        elif role is None:
            guesses.append(Guess(DatasetRole.TEST, "fewer examples than the other"))
        else:
            guesses.append(_named(word, role, said))
    return guesses


def _named(word: str, role: DatasetRole, said: list[tuple[str, DatasetRole | None]]) -> Guess:
    """As the name says; but a validation file with no test file beside it is what the result is tested on."""
    if role is DatasetRole.VALIDATION and not any(other is DatasetRole.TEST for _, other in said):
        return Guess(DatasetRole.TEST, f"named “{word}”, and no other file to test on")
    return Guess(role, f"named “{word}”")


def _said(name: str) -> tuple[str, DatasetRole | None]:
    for word in re.findall(r"[a-z]+", name.lower().rsplit(".", 1)[0]):
        if word in _WORDS:
            return word, _WORDS[word]
    return "", None
