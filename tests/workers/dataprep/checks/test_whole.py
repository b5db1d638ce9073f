"""What only the whole dataset shows, however it is cut into parts."""

import pickle
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.dataprep.checks import Severity
from workers.dataprep.checks.endings import CUT, PROPER, ending
from workers.dataprep.checks.kinds import MOST_PLACES
from workers.dataprep.checks.language import language
from workers.dataprep.checks.whole import Tallies, is_odd
from workers.dataprep.example import Example, Message

ENGLISH = "You can find the keys of the house in the kitchen, and that is where they were for years."
PROSE = ENGLISH + " It is not far from there to the garden, which you will see when you open the door"
SAID = {
    "German": "Die Schlüssel liegen in der Küche, und das ist auch der Ort, an dem sie immer waren.",
    "French": "Les clés sont dans la cuisine, et c'est là que vous les avez laissées pour des amis.",
    "Spanish": "Las llaves están en la cocina, y es allí donde los niños las dejaron con una nota.",
    "Portuguese": "As chaves estão na cozinha, e você não vai encontrar uma nota do vizinho em cima da mesa.",
    "Italian": "Le chiavi sono nella cucina, e non è un posto che si trova facilmente quando il sole è già alto.",
    "Dutch": "De sleutels liggen in de keuken, en het is niet ver van daar naar de tuin.",
    "Polish": "Klucze są w kuchni, ale nie jest to miejsce, które można łatwo znaleźć, bo się tam nie świeci.",
    "a language in Cyrillic letters": "Ключи лежат на кухне, там же, где и всегда.",
    "Chinese": "钥匙在厨房里，一直都在那里。",
    "Japanese": "鍵は台所にあります。いつもそこにあります。",
    "Korean": "열쇠는 부엌에 있습니다. 항상 거기에 있었습니다.",
    "a language in Arabic letters": "المفاتيح في المطبخ حيث كانت دائما",
}


def example(answer, question="Where are they?", **others):
    return Example((Message("user", question), Message("assistant", answer)), **others)


def tallied(examples, parts=1):
    tallies = [Tallies() for _ in range(parts)]
    for line, one in enumerate(examples, 1):
        tallies[line * parts // (len(examples) + 1)].add(line, one)
    first, *others = [pickle.loads(pickle.dumps(one)) for one in tallies]
    for other in others:
        first.merge(other)
    return first


def findings(examples, method="sft", parts=1):
    return {one.check: one for one in tallied(examples, parts).findings(method)}


def lines(counted):
    return [line for line, _ in counted.places]


def asked(answers):
    return [example(answer, f"Where is number {number}?") for number, answer in enumerate(answers)]


@pytest.mark.parametrize("parts", [1, 3, 60])
def test_one_answer_that_is_no_json_among_many(parts):
    answers = ['["salt", "butter"]'] * 100
    answers[62] = "salt and butter"
    (counted,) = findings(asked(answers), parts=parts).values()
    ((line, found),) = counted.places
    assert (counted.check, counted.count, line, found.message) == ("not_json", 1, 63, 2)
    assert found.severity is Severity.WARNING
    assert "is not valid JSON, while 100 are" in found.words.replace("99", "100")
    assert found.excerpt == "»salt and butter«"


def test_json_in_a_fence_and_json_that_is_broken():
    answers = ['{"a": 1}'] * 40 + ['```json\n{"a": 1}\n```', '{"a": 1', "[1, 2"]
    counted = findings(asked(answers))["not_json"]
    assert lines(counted) == [41, 42, 43]
    assert "JSON in a code fence" in counted.places[0][1].words
    assert "not_json" not in findings(asked(['{"a": 1}'] * 40 + ["text"] * 10))
    assert "not_json" not in findings(asked(["text"] * 40 + ['{"a": 1}']))


@pytest.mark.parametrize("name", SAID)
def test_an_answer_in_another_language(name):
    answers = [f"{ENGLISH} That is number {number}." for number in range(40)]
    answers[7] = SAID[name]
    counted = findings(asked(answers))["wrong_language"]
    assert lines(counted) == [8]
    assert f"The answer is in {name}, while 39 are in English" in counted.places[0][1].words


def test_a_language_that_is_asked_for_is_not_wrong():
    some = asked([ENGLISH] * 40)
    some += [example(SAID["German"], "Say it in German."), example(SAID["French"], "Translate: the keys are there")]
    assert "wrong_language" not in findings(some)
    mixed = [ENGLISH] * 30 + [SAID["German"]] * 10
    assert "wrong_language" not in findings(asked(mixed))


@pytest.mark.parametrize("name", SAID)
def test_a_language_is_known(name):
    assert language(SAID[name]) == name
    assert language(ENGLISH) == "English"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ok",
        "Yes",
        "42",
        "def f(x): return x",
        "Paris, London, Berlin",
        "```python\nfor x in the_list: print(x)\n```",
        "né",
    ],
)
def test_no_language_is_guessed(text):
    assert language(text) is None


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (ENGLISH * 2 + " And then he said that it was the most", CUT),
        (ENGLISH * 2 + " The keys that are there and not elsewhere, for they,", CUT),
        (ENGLISH * 2, PROPER),
        (ENGLISH + " He said: “They are there and they have been there for years.”", PROPER),
        (ENGLISH * 2 + "\n\n```python\nprint(1)\n```", PROPER),
        (ENGLISH * 2 + "\n- the keys of the house and of the garden", None),
        (ENGLISH * 2 + "\n3. the keys of the house and of the garden", None),
        (ENGLISH * 2 + "\nSincerely, and with the kindest regards of all, Alexandra", None),
        (ENGLISH * 2 + " See https://example.com/the-keys-of-the-house", None),
        ("Paris", None),
    ],
)
def test_how_an_answer_ends(answer, kind):
    assert ending(answer) == kind


def test_an_answer_that_breaks_off_where_the_others_end():
    answers = [f"{ENGLISH} {ENGLISH} Number {number}." for number in range(60)]
    answers[10] = PROSE
    counted = findings(asked(answers))["cut_off_answer"]
    assert (lines(counted), counted.count) == ([11], 1)
    assert counted.places[0][1].excerpt.endswith("»door«")
    assert "cut_off_answer" not in findings(asked([PROSE] * 20 + answers))


def test_counts_are_exact_where_places_are_not():
    counted = findings(asked(['{"a": 1}'] * 9000 + ["no"] * 300), parts=7)["not_json"]
    assert (counted.count, len(counted.places)) == (300, MOST_PLACES)
    assert lines(counted) == list(range(9001, 9001 + MOST_PLACES))


def test_labels_and_their_balance():
    some = asked(["spam"] * 19 + ["ham"] * 2)
    counted = findings(some)["label_imbalance"]
    assert counted.places[0][0] is None
    assert "90% of the answers are 'spam'" in counted.places[0][1].words
    assert tallied(some, 4).labels() == {"spam": 19, "ham": 2}
    assert "label_imbalance" not in findings(asked(["spam"] * 12 + ["ham"] * 10))
    assert "Every answer is 'spam'" in findings(asked(["spam"] * 30))["label_imbalance"].places[0][1].words
    assert tallied(asked([f"answer {number}" for number in range(50)])).labels() == {}
    assert tallied(asked([ENGLISH, "spam"] * 20)).labels() == {}
    assert (
        "'Spam' (5)"
        in findings(asked(["spam"] * 15 + ["Spam"] * 5 + ["ham"] * 15))["label_spellings"].places[0][1].words
    )


def test_the_same_question_in_every_example():
    same = [example(f"Answer {number}.") for number in range(20)]
    assert "same_question" in findings(same, parts=3)
    assert "same_question" not in findings([*same, example("x", "Another?")])
    assert "same_question" not in findings(same[:5])


def test_one_user_speaks_in_every_example():
    def by(name, number):
        return Example((Message("user", f"q{number}", {"name": name}), Message("assistant", f"Answer {number}.")))

    counted = findings([by("U1", number) for number in range(20)], parts=3)["one_speaker"]
    assert "One user, U1, speaks in every example" in counted.places[0][1].words
    assert "one_speaker" not in findings([by(f"U{number % 2}", number) for number in range(20)])
    assert "one_speaker" not in findings(asked(["a"] * 20))


def test_kto_needs_both_labels():
    some = [example(f"a{number}", f"q{number}", label=True) for number in range(20)]
    counted = findings(some, "kto", parts=2)["one_label_only"]
    assert counted.places[0][1].severity is Severity.ERROR
    assert "All 20 answers are wanted ones" in counted.places[0][1].words
    assert "one_label_only" not in findings([*some, example("b", label=False)], "kto")


def test_references_that_are_missing_in_some():
    def to_grade(number, **reference):
        return Example((Message("user", f"q{number}"),), turns=0, reference=reference)

    some = [to_grade(number, target=number, nums=[1]) for number in range(20)]
    some += [to_grade(21, target=3), to_grade(22, target=None, nums=[2]), to_grade(23, target=1, nums=[], more=1)]
    counted = findings(some, "rft", parts=4)["reference_missing"]
    assert lines(counted) == [21, 22]
    assert "`nums` is missing" in counted.places[0][1].words
    assert "reference_missing" not in findings(some[:20], "rft")


@given(
    answers=st.lists(st.sampled_from(['{"a": 1}', "no", ENGLISH, SAID["German"], PROSE, "spam", ""]), max_size=80),
    parts=st.integers(1, 5),
)
@settings(max_examples=60, deadline=None)
def test_parts_add_up_to_the_whole(answers, parts):
    some = asked(answers)
    assert list(tallied(some, parts).findings()) == list(tallied(some).findings())
    verdicts = tallied(some).verdicts()
    found = {(one.check, line) for one in tallied(some).findings() for line, _ in one.places if line}
    assert found == {(check, line) for line, one in enumerate(some, 1) for check in is_odd(verdicts, one)}


def test_a_tally_stays_small():
    tallies = Tallies()
    for number in range(5000):
        tallies.add(number, example(f"{number} " * 8, f"{number}?" * 50))
    assert len(pickle.dumps(tallies)) < 100_000


def test_many_at_once_are_counted_as_one_by_one():
    draw = random.Random(4)
    endings = ["and so it ends.", "and it goes on", "{", "x", "]", "(", "…"]
    starts = ["", "{", "[", "`", " ", "\n", "The answer is that "]
    answers = [
        draw.choice(starts)
        + "word and more of it, " * draw.choice([0, 1, 5, 9, 9, 9])
        + draw.choice(endings[: 1 + n % 7])
        for n in range(3000)
    ]
    one_by_one, at_once = Tallies(), Tallies()
    for tallies in (one_by_one, at_once):
        tallies.odd.languages = False
    for line, answer in enumerate(answers):
        one_by_one.add_told([(line, f"Question {line}?", answer, 2)])
    for start in range(0, 3000, 100):
        some = range(start, start + 100)
        at_once.add_told([(line, f"Question {line}?", answers[line], 2) for line in some])
    assert at_once == one_by_one
    assert at_once.examples == 3000
    assert list(at_once.findings()) == list(one_by_one.findings())
