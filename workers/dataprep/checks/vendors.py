"""What a provider demands of a dataset beyond its format. The rules are data, dated: vendor_rules.json."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from workers.dataprep.checks.found import Found, Severity
from workers.dataprep.checks.kinds import MOST_PLACES, Counted, Kinds, Place
from workers.dataprep.example import Example

METHOD_NAMES = {"sft": "supervised", "dpo": "preference (DPO)", "kto": "KTO", "rft": "reinforcement"}
METHOD_NAMES |= {"orpo": "preference (ORPO)", "grpo": "reinforcement by references (GRPO)"}


@dataclass(frozen=True)
class Rules:
    """A provider's demands; None where it has none."""

    name: str
    least_examples: int = 1
    most_bytes: int | None = None
    simple_bytes: int | None = None
    """A larger file must be sent in parts, which takes another way and longer."""
    most_images: int | None = None
    """Pictures an example may have."""
    most_image_examples: int | None = None
    roles: frozenset[str] | None = None
    methods: frozenset[str] | None = None


@cache
def rules() -> Mapping[str, Rules]:
    """Every provider's demands, by its name in the registry."""
    text = resources.files(__package__).joinpath("vendor_rules.json").read_text(encoding="utf-8")
    providers: Mapping[str, dict[str, Any]] = json.loads(text)["providers"]
    return {provider: _rules(**one) for provider, one in providers.items()}


def _rules(*, roles: list[str], methods: list[str], **others: Any) -> Rules:
    return Rules(**others, roles=frozenset(roles), methods=frozenset(methods))


@dataclass
class Demands:
    """The tally of what providers make demands of: roles, and pictures."""

    roles: Kinds = field(default_factory=lambda: Kinds(30))
    pictures: Kinds = field(default_factory=lambda: Kinds(200))
    picture_answers: Kinds = field(default_factory=Kinds)

    def add(self, line: int, example: Example) -> None:
        """Look at an example."""
        pictures = 0
        for place, message in enumerate((*example.messages, *example.rejected), 1):
            self.add_role(line, place, message.role)
            if not isinstance(message.content, str) and message.content:
                here = sum(part.get("type") == "image_url" for part in message.content)
                pictures += here
                if here and message.role == "assistant" and self.picture_answers.add("picture"):
                    self.picture_answers.keep("picture", Place(line, place))
        if pictures and self.pictures.add(str(pictures)):
            self.pictures.keep(str(pictures), Place(line))

    def add_role(self, line: int, place: int, role: str) -> None:
        """Look at a message's role."""
        if role not in ("system", "user", "assistant") and self.roles.add(role[:60]):
            self.roles.keep(role[:60], Place(line, place))

    def merge(self, other: "Demands") -> None:
        """Add another part's."""
        for name in ("roles", "pictures", "picture_answers"):
            getattr(self, name).merge(getattr(other, name))


def findings(provider: str, demands: Demands, *, examples: int, size: int, method: str = "sft") -> Iterator[Counted]:
    """What this provider would refuse. `size` is the sent file's, in bytes. Nothing of an unknown one."""
    wanted = rules().get(provider)
    if wanted is None:
        return
    yield from _of_file(wanted, examples, size, method)
    if wanted.roles is not None:
        roles = [role for role in demands.roles.counts if role not in wanted.roles]
        words = f"{wanted.name} does not take messages of the role %s. Rename the role, or drop the line."
        yield from _at_places("role_not_supported", demands.roles, roles, lambda role: words % repr(role))
    if wanted.most_images is not None:
        many = [count for count in demands.pictures.counts if int(count) > wanted.most_images]
        allowed = f"at most {wanted.most_images} pictures" if wanted.most_images else "no pictures"
        words = f"The line has %s; {wanted.name} takes {allowed} a line. Leave some out, or choose another provider."
        yield from _at_places("too_many_images", demands.pictures, many, lambda count: words % _pictures(int(count)))
        images = demands.pictures.total
        if wanted.most_image_examples is not None and images > wanted.most_image_examples:
            words = (
                f"{images:,} lines have pictures; {wanted.name} takes at most {wanted.most_image_examples:,}. "
                "Leave some out, or choose another provider."
            )
            yield _of_all("too_many_images", words)


def _of_file(wanted: Rules, examples: int, size: int, method: str) -> Iterator[Counted]:
    if examples < wanted.least_examples:
        many = "is 1 example" if examples == 1 else f"are {examples:,} examples"
        words = f"There {many}; {wanted.name} wants at least {wanted.least_examples}. Add more, or train locally."
        yield _of_all("too_few_examples", words)
    if wanted.most_bytes is not None and size > wanted.most_bytes:
        words = (
            f"The file is {size / 1e6:,.0f} MB; {wanted.name} takes at most {wanted.most_bytes / 1e6:,.0f} MB. "
            "Leave out examples, or choose another provider."
        )
        yield _of_all("file_too_large", words)
    elif wanted.simple_bytes is not None and size > wanted.simple_bytes:
        words = (
            f"The file is {size / 1e6:,.0f} MB, over {wanted.simple_bytes / 1e6:,.0f} MB: it is sent to {wanted.name} "
            "in parts, which takes longer. There is nothing that you need to do."
        )
        yield _of_all("file_sent_in_parts", words, Severity.INFO)
    if wanted.methods is not None and method not in wanted.methods:
        known = ", ".join(METHOD_NAMES[one] for one in METHOD_NAMES if one in wanted.methods)
        words = (
            f"{wanted.name} does not do {METHOD_NAMES.get(method, method)} training; it does {known}. "
            "Choose another provider, or another kind of dataset."
        )
        yield _of_all("method_not_supported", words)


def _at_places(check: str, kinds: Kinds, odd: list[str], words: Callable[[str], str]) -> Iterator[Counted]:
    if odd:
        places = tuple(
            (place.line, Found(check, words(kind), place.message or None, "drop"))
            for kind, place in kinds.places_of(odd)[:MOST_PLACES]
        )
        yield Counted(check, sum(kinds.counts[kind] for kind in odd), places)


def _pictures(count: int) -> str:
    return "1 picture" if count == 1 else f"{count:,} pictures"


def _of_all(check: str, words: str, severity: Severity = Severity.ERROR) -> Counted:
    return Counted(check, 1, ((None, Found(check, words, severity=severity)),))
