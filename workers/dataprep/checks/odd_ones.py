"""What is odd about an answer only because nearly all the others are otherwise: its ending, its language, its form."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from workers.dataprep.checks import excerpts
from workers.dataprep.checks.endings import CUT, PROPER, ending
from workers.dataprep.checks.found import Found, Severity
from workers.dataprep.checks.kinds import Counted, Kinds, Place
from workers.dataprep.checks.language import language

LEAST = 20
"""Under so many examples nothing is usual."""

JSON, FENCED, NO_JSON = "JSON", "JSON in a code fence", "no JSON"
_ABROAD = re.compile(
    r"(?i)translat|übersetz|tradu[cizç]|перев|翻译|翻譯|翻訳|번역|\b(?:in|into|to|auf|en|em|ins?) (?:the )?"
    r"(?:english|german|french|spanish|portuguese|italian|dutch|swedish|danish|norwegian|polish|czech|turkish|finnish|"
    r"romanian|indonesian|malay|vietnamese|japanese|korean|chinese|mandarin|russian|ukrainian|greek|arabic|hebrew|hindi|"
    r"deutsch|englisch|français|anglais|español|inglés|inglese|italiano|português)\b|\blanguages?\b|\bsprache|\blangue"
)
_FENCE = re.compile(r"\s*```(?:json|JSON)?\s*\n?(.*?)\n?\s*```\s*\Z", re.DOTALL)
MOST_JSON = 2_000_000
_START, _END = slice(600), slice(-600, None)


@dataclass(frozen=True)
class Usual:
    """A property of answers that nearly all of a dataset share; those that do not are found.

    `kind` names an answer's kind, or None where nothing can be said of it. `words` says what is wrong with the odd
    kind, how many are of the usual one, and which that is.
    """

    check: str
    kind: Callable[[str], str | None]
    share: float
    words: Callable[[str, int, str], str]
    excerpt: Callable[[str], str]
    piece: slice
    """The part of an answer that the excerpt is of."""
    odd: frozenset[str] = frozenset()
    """The kinds that may be odd; all, where none is named."""
    usual: frozenset[str] = frozenset()
    """The kinds that others may be odd among; all, where none is named."""
    excused: Callable[[str], bool] = lambda _question: False
    """Whether the question asks for something else than usual."""

    def kind_of(self, question: str, answer: str) -> str | None:
        """The answer's kind, unless the question excuses it."""
        kind = self.kind(answer)
        return None if kind is None or self.excused(question) else kind


def _abroad(question: str) -> bool:
    """Whether a language or a translation is asked for."""
    return _ABROAD.search(question[:4000]) is not None or _ABROAD.search(question[4000:][-1000:]) is not None


def form(answer: str) -> str:
    """Whether an answer is a JSON object or list, one in a code fence, or neither."""
    head = answer.lstrip()[:3]
    if head[:1] in ("{", "["):
        return JSON if is_json(answer) else NO_JSON
    if head == "```" and (fenced := _FENCE.match(answer[:MOST_JSON])) and is_json(fenced[1]):
        return FENCED
    return NO_JSON


def is_json(text: str) -> bool:
    """Whether a text is a JSON object or list. A longer one than anybody writes is taken for one."""
    if text.lstrip()[:1] not in ("{", "["):
        return False
    if len(text) > MOST_JSON:
        return True
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _cut_off(_odd: str, count: int, _usual: str) -> str:
    return f"The answer seems to break off in mid-sentence, while {count:,} end properly. Finish it, or drop the line."


def _wrong_language(odd: str, count: int, usual: str) -> str:
    return f"The answer is in {odd}, while {count:,} are in {usual}. Fine if that is wanted; else translate or drop it."


def _not_json(odd: str, count: int, usual: str) -> str:
    said = "is not valid JSON" if odd == NO_JSON else f"is {odd}"
    others = "are" if usual == JSON else f"are {usual}"
    return f"The answer {said}, while {count:,} {others}. Mend it, or drop the line."


USUALS = (
    Usual("cut_off_answer", ending, 0.9, _cut_off, excerpts.ending, _END, frozenset({CUT}), frozenset({PROPER})),
    Usual("wrong_language", language, 0.9, _wrong_language, excerpts.beginning, _START, excused=_abroad),
    Usual("not_json", form, 0.9, _not_json, excerpts.beginning, _START, usual=frozenset({JSON, FENCED})),
)
Told = tuple[int, str, str, int]
"""An example's line, its first question, its last answer and the place of that message."""
_WITHOUT_LANGUAGES = tuple(one for one in USUALS if one.kind is not language)


@dataclass
class OddOnes:
    """The tally of the properties above."""

    kinds: dict[str, Kinds] = field(default_factory=lambda: {one.check: Kinds() for one in USUALS})
    languages: bool = True
    """Whether to look at the language too, which takes longer than all the rest."""

    def add(self, told: Sequence[Told]) -> None:
        """Look at the answers of some examples; none may be empty."""
        for one in USUALS if self.languages else _WITHOUT_LANGUAGES:
            kinds = self.kinds[one.check]
            found = [one.kind(answer) for _, _, answer, _ in told]
            usual = kinds.settled(LEAST, more=len(found))
            if usual is not None:  # it stays settled among these, so that of its places none is kept
                kinds.add(usual, found.count(usual))
            for kind, (line, question, answer, message) in zip(found, told, strict=True):
                if kind is None or kind == usual:
                    continue
                settled = kinds.settled(LEAST) == kind
                if not settled and one.excused(question):
                    continue
                if kinds.add(kind) and not settled:
                    kinds.keep(kind, Place(line, message, answer[one.piece]))

    def merge(self, other: "OddOnes") -> None:
        """Add another part's."""
        for check, kinds in self.kinds.items():
            kinds.merge(other.kinds[check])

    def verdicts(self) -> Mapping[str, frozenset[str]]:
        """Of each check the kinds of answers that are odd in this dataset."""
        found = {}
        for one in USUALS:
            kinds = self.kinds[one.check]
            usual = kinds.usual(LEAST, one.share)
            if usual is not None and (not one.usual or usual in one.usual):
                odd = {kind for kind in kinds.counts if kind != usual and (not one.odd or kind in one.odd)}
                if odd:
                    found[one.check] = frozenset(odd)
        return found

    def findings(self) -> list[Counted]:
        """The odd answers, each at its line."""
        verdicts = self.verdicts()
        return [_counted(one, self.kinds[one.check], verdicts[one.check]) for one in USUALS if one.check in verdicts]


def odd_in(verdicts: Mapping[str, frozenset[str]], question: str, answer: str) -> list[str]:
    """The checks by which this answer is odd."""
    return [
        one.check for one in USUALS if one.check in verdicts and one.kind_of(question, answer) in verdicts[one.check]
    ]


def _counted(one: Usual, kinds: Kinds, odd: frozenset[str]) -> Counted:
    usual = kinds.usual(LEAST, one.share) or ""
    places = tuple(
        (
            place.line,
            Found(
                one.check,
                one.words(kind, kinds.counts[usual], usual),
                place.message or None,
                "drop",
                Severity.WARNING,
                one.excerpt(place.piece),
            ),
        )
        for kind, place in kinds.places_of(odd)
    )
    return Counted(one.check, sum(kinds.counts[kind] for kind in odd), places)
