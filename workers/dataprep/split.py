"""What is learnt from and what is held out of a lone dataset: decided by content, the same every time.

Examples with the same prompt always stay on one side, so that nothing is tested on what was learnt.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable

from workers.dataprep.example import Example


def held_out_places(examples: Iterable[Example], count: int, seed: int) -> frozenset[int]:
    """The places (from 0) of about `count` examples to hold out; never more, whole groups of one prompt each."""
    groups: dict[bytes, list[int]] = defaultdict(list)
    for place, example in enumerate(examples):
        groups[_group(example, seed)].append(place)
    held: list[int] = []
    for _, places in sorted(groups.items()):
        if len(held) + len(places) <= count:
            held += places
        if len(held) == count:
            break
    return frozenset(held)


def _group(example: Example, seed: int) -> bytes:
    """A number that depends on the seed and on the prompt alone, whatever its spacing and case."""
    asked = [(message.role, " ".join((message.content or "").lower().split())) for message in example.prompt]
    questions = [one for one in asked if one[0] != "system"] or asked
    data = f"{seed}:{questions}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=16).digest()
