"""What only the whole dataset shows. A `Tallies` is fed example by example, is mergeable, picklable and bounded.

tallies = Tallies()
tallies.add(line, example)        # or, of many at once: tallies.add_told(…); what else an example has: add_beside
tallies.merge(another part's)
for counted in tallies.findings(method): ...
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from workers.dataprep.checks.found import Found, Severity
from workers.dataprep.checks.kinds import MOST_PLACES, Counted, Kinds, Place
from workers.dataprep.checks.odd_ones import LEAST, OddOnes, Told, odd_in
from workers.dataprep.checks.vendors import Demands
from workers.dataprep.example import Example

MOST_LABELS = 200
LONGEST_LABEL = 40
LEAST_SHARE = 0.9
"""Of the examples whose answers must be labels for the dataset to be a classification."""
MOST_OF_ONE = 0.8
"""A label with a greater share is learnt instead of the task."""
_SEPARATOR = "\x1f"


@dataclass
class Tallies:
    """Every tally of a dataset, or of a part of it."""

    examples: int = 0
    odd: OddOnes = field(default_factory=OddOnes)
    answers: Kinds = field(default_factory=lambda: Kinds(MOST_LABELS))
    unlabelled: int = 0
    questions: Kinds = field(default_factory=lambda: Kinds(2))
    speakers: Kinds = field(default_factory=lambda: Kinds(2))
    wanted: Kinds = field(default_factory=Kinds)
    references: Kinds = field(default_factory=lambda: Kinds(MOST_LABELS))
    demands: Demands = field(default_factory=Demands)

    def add(self, line: int, example: Example) -> None:
        """Count an example of any kind."""
        self.add_told([told_of(line, example)])
        self.add_beside(line, example)

    def add_beside(self, line: int, example: Example) -> None:
        """Count what an example has beside its first question and its last answer."""
        if example.label is not None and self.wanted.add("wanted" if example.label else "unwanted"):
            self.wanted.keep("wanted" if example.label else "unwanted", Place(line))
        if example.reference or not example.turns:
            kind = _SEPARATOR.join(sorted(key for key, value in example.reference.items() if value is not None))
            if self.references.add(kind):
                self.references.keep(kind, Place(line))
        place = question_of(example)[1]
        if place:
            name = example.messages[place - 1].extra.get("name")
            self.speakers.add(name[:200] if isinstance(name, str) else "")
        self.demands.add(line, example)

    def add_told(self, told: Sequence[Told]) -> None:
        """Count examples by their first questions and last answers, each empty where there is none."""
        self.examples += len(told)
        for _, question, _, _ in told:
            if len(self.questions.counts) > 1:
                break
            if question:
                self.questions.add(question)
        answered = [one for one in told if one[2]]
        self.odd.add(answered)
        short = [answer for _, _, answer, _ in answered if len(answer) <= 2 * LONGEST_LABEL]
        labels = Counter(map(_label, short))
        self.unlabelled += len(answered) - len(short) + labels.pop("", 0)
        for label, count in labels.items():
            self.answers.add(label, count)

    def move(self, lines: int) -> None:
        """Count every line from so many lines earlier on: this part of the dataset begins there."""
        demands = (self.demands.roles, self.demands.pictures, self.demands.picture_answers)
        for kinds in (*self.odd.kinds.values(), *demands, self.wanted, self.references):
            kinds.move(lines)

    def merge(self, other: "Tallies") -> None:
        """Add another part's."""
        self.examples += other.examples
        self.unlabelled += other.unlabelled
        self.odd.merge(other.odd)
        self.demands.merge(other.demands)
        for name in ("answers", "questions", "speakers", "wanted", "references"):
            getattr(self, name).merge(getattr(other, name))

    def labels(self) -> Mapping[str, int]:
        """How often each label is the answer, most often first; empty where answers are no labels."""
        kinds = self.answers
        if kinds.others or self.unlabelled > (1 - LEAST_SHARE) * (kinds.total + self.unlabelled):
            return {}
        if kinds.total < LEAST or len(kinds.counts) > max(2, min(50, kinds.total // 5)):
            return {}
        return dict(sorted(kinds.counts.items(), key=lambda one: (-one[1], one[0])))

    def needed_references(self) -> frozenset[str]:
        """The reference fields that most examples have; none where no set of fields is usual."""
        usual = self.references.usual(2, 0.5)
        return frozenset(usual.split(_SEPARATOR)) - {""} if usual is not None else frozenset()

    def findings(self, method: str = "sft") -> Iterator[Counted]:
        """What the whole dataset shows."""
        yield from self.odd.findings()
        yield from _labels(self.labels())
        if len(self.questions.counts) == 1 and self.questions.total == self.examples >= LEAST:
            words = (
                "Every example asks the same: the user's text never changes, so the model learns to ignore it. "
                "Put what differs into the user's message."
            )
            yield _of_all("same_question", words)
        names = [name for name in self.speakers.counts if name]
        if len(self.speakers.counts) == 1 and names and self.speakers.total == self.examples >= LEAST:
            words = (
                f"One user, {names[0][:40]}, speaks in every example: the model learns how that person writes. "
                "Add others' questions, or remove the names."
            )
            yield _of_all("one_speaker", words)
        if method == "kto":
            yield from _one_sided(self.wanted)
        if method == "rft":
            yield from _missing_references(self)

    def verdicts(self) -> Mapping[str, frozenset[str]]:
        """By which kinds an answer is odd in this dataset; what `is_odd` needs."""
        return self.odd.verdicts()


def is_odd(verdicts: Mapping[str, frozenset[str]], example: Example) -> list[str]:
    """The checks by which this example's answer is odd in its dataset."""
    if not verdicts or not example.answer:
        return []
    return odd_in(verdicts, question_of(example)[0], example.answer)


def _label(answer: str) -> str:
    """The label that an answer may be, empty for none."""
    label = answer.strip()
    return label if label and len(label) <= LONGEST_LABEL and "\n" not in label and label[0] not in "{[" else ""


def told_of(line: int, example: Example) -> Told:
    """The example's first question and last answer."""
    return line, question_of(example)[0], example.answer, len(example.messages) if example.turns else 0


def question_of(example: Example) -> tuple[str, int]:
    """The first user's text and the place of that message; 0 where there is none."""
    for place, message in enumerate(example.messages, 1):
        if message.role == "user":
            return message.text, place
    return "", 0


def _labels(labels: Mapping[str, int]) -> Iterator[Counted]:
    if not labels:
        return
    total = sum(labels.values())
    (top, most), *others = labels.items()
    if not others:
        words = f"Every answer is {top!r}, so the model learns to say it whatever is asked. Add the other answers."
        yield _of_all("label_imbalance", words)
    elif most > MOST_OF_ONE * total:
        words = (
            f"{most / total:.0%} of the answers are {top!r}; {others[-1][0]!r} is {others[-1][1]:,} of {total:,}. "
            "The model may learn to always say the first. Add examples of the others, or leave out some of these."
        )
        yield _of_all("label_imbalance", words)
    spelt: dict[str, list[str]] = {}
    for label in labels:
        spelt.setdefault(" ".join(label.lower().rstrip(".!").split()), []).append(label)
    for variants in spelt.values():
        if len(variants) > 1:
            shown = ", ".join(f"{one!r} ({labels[one]:,})" for one in variants[:5])
            words = f"One label seems to be spelt in several ways: {shown}. Decide for one, so that the model can."
            yield _of_all("label_spellings", words)


def _one_sided(wanted: Kinds) -> Iterator[Counted]:
    if len(wanted.counts) == 1:
        (only,) = wanted.counts
        other = "unwanted" if only == "wanted" else "wanted"
        words = (
            f"All {wanted.total:,} answers are {only} ones; KTO learns from both. Add {other} ones, or train with SFT."
        )
        yield _of_all("one_label_only", words, Severity.ERROR)


def _missing_references(tallies: Tallies) -> Iterator[Counted]:
    references, needed = tallies.references, tallies.needed_references()
    lacking = {kind: sorted(needed - set(kind.split(_SEPARATOR))) for kind in references.counts}
    lacking = {kind: keys for kind, keys in lacking.items() if keys}
    if not lacking:
        return
    places = []
    for kind, place in references.places_of(lacking)[:MOST_PLACES]:
        named = ", ".join(f"`{key[:40]}`" for key in lacking[kind][:5])
        words = f"The reference {named} is missing, which the grader finds in the others. Add it, or drop the line."
        places.append((place.line, Found("reference_missing", words, fix="drop")))
    yield Counted("reference_missing", sum(references.counts[kind] for kind in lacking), tuple(places))


def _of_all(check: str, words: str, severity: Severity = Severity.WARNING) -> Counted:
    return Counted(check, 1, ((None, Found(check, words, severity=severity)),))
