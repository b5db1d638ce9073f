"""A thread's questions and answers as examples: whose words may be used, and nobody named in them.

Consecutive messages of one person are one turn. A turn and the next person's turn are a question and its answer; the
turn after that is a question again. Turns are paired before anybody's words are left out, so that an answer is never
put under another question.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

_MENTION = re.compile(r"<@(?P<id>[A-Z0-9]+)(?:\|[^>]*)?>")
_EVERYBODY = re.compile(r"<!(?:subteam\^[A-Z0-9]+|[a-z]+)(?:\^[^|>]*)?(?:\|[^>]*)?>")
_CHANNEL = re.compile(r"<#[A-Z0-9]+(?:\|(?P<name>[^>]*))?>")
_LINK = re.compile(r"<(?P<url>(?:https?|mailto|tel):[^|>]+)(?:\|(?P<label>[^>]*))?>")
MOST_MESSAGES = 2000
"""Of a thread; the first ones are read."""
_SEPARATOR = re.compile(r"[\s._-]+")
SHORTEST_NAME = 3
"""Shorter names are words too often to be replaced."""


@dataclass(frozen=True)
class Said:
    """One message of a thread, as Slack has it."""

    user_id: str
    text: str


def authors(said: Iterable[Said]) -> dict[str, int]:
    """Who wrote, in the order of their first message, and how many messages each."""
    counted: dict[str, int] = {}
    for one in said:
        counted[one.user_id] = counted.get(one.user_id, 0) + 1
    return counted


def pairs(said: Iterable[Said]) -> list[tuple[Said, Said]]:
    """Each question with its answer."""
    turns = [
        Said(user_id, "\n".join(one.text for one in group))
        for user_id, group in groupby(said, key=lambda one: one.user_id)
    ]
    return list(zip(turns[::2], turns[1::2], strict=False))


def records(
    said: Sequence[Said], agreed: Collection[str], names: Mapping[str, Sequence[str]]
) -> list[dict[str, list[dict[str, str]]]]:
    """The examples, as openai-chat records, of those who agreed. `names` has what each person is called, by id."""
    everybody = dict.fromkeys([*authors(said), *names])
    people = {user_id: f"[person {number}]" for number, user_id in enumerate(everybody, 1)}
    named = _names(people, names)
    made = []
    for question, answer in pairs(said):
        if question.user_id in agreed and answer.user_id in agreed:
            asked, answered = (_without_names(one.text, people, named) for one in (question, answer))
            if asked and answered:
                messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
                made.append({"messages": messages})
    return made


def mentioned(said: Iterable[Said]) -> set[str]:
    """The ids of all people that are mentioned."""
    return {found["id"] for one in said for found in _MENTION.finditer(one.text)}


@dataclass(frozen=True)
class _Names:
    """What finds people's names in a text, and what is put in their place."""

    pattern: re.Pattern[str]
    exact: Mapping[str, str]
    """Names of one word, as they are written: "Will" is a name, "will" is none."""
    any_case: Mapping[str, str]
    """Whole names of several words; and all of them after an @."""

    def replaced(self, text: str) -> str:
        return self.pattern.sub(self._instead, text)

    def _instead(self, found: re.Match[str]) -> str:
        name = found[0].removeprefix("@")
        return self.exact.get(name) or self.any_case.get(name.casefold(), "[somebody]")


def _names(people: Mapping[str, str], names: Mapping[str, Sequence[str]]) -> _Names | None:
    exact: dict[str, str] = {}
    whole: dict[str, str] = {}
    any_case: dict[str, str] = {}
    for user_id, called in names.items():
        words = {word for name in called for word in _SEPARATOR.split(name) if len(word) >= SHORTEST_NAME}
        for name in (*called, *words):
            if len(name) >= SHORTEST_NAME:
                any_case.setdefault(name.casefold(), people[user_id])
                if _SEPARATOR.search(name):
                    whole.setdefault(name.casefold(), people[user_id])
        for word in words:
            spellings = {word, word.capitalize()} if word.islower() else {word}
            if word.islower() and word.capitalize() in words:
                continue  # "will" is only what Will's account is called
            for spelt in spellings:
                exact.setdefault(spelt, people[user_id])
    if not any_case:
        return None
    pattern = rf"(?<!\w)(?:(?i:@(?:{_either(any_case)})|(?:{_either(whole)}))|(?:{_either(exact)}))(?!\w)"
    return _Names(re.compile(pattern), exact, any_case)


def _either(names: Iterable[str]) -> str:
    """A pattern for any of the names, the longest first; one that finds nothing where there are none."""
    return "|".join(map(re.escape, sorted(names, key=len, reverse=True))) or r"(?!)"


def _without_names(text: str, people: Mapping[str, str], named: _Names | None) -> str:
    """The text as it was written, with people, groups and channels replaced, and Slack's markup gone."""
    text = _MENTION.sub(lambda found: people.get(found["id"], "[somebody]"), text)
    text = _EVERYBODY.sub("[everybody]", text)
    text = _CHANNEL.sub("[channel]", text)
    text = _LINK.sub(lambda found: found["label"] or found["url"].removeprefix("mailto:").removeprefix("tel:"), text)
    text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    text = re.sub(r"<([!@#])", r"‹\1", text)  # what only looks like a mention must not become one in an answer
    text = re.sub(r"(?<!\w)@(channel|here|everyone)\b", "[everybody]", text)
    if named is not None:
        text = named.replaced(text)
    return text.replace("\x00", "").strip()
