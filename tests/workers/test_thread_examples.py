"""A thread's questions and answers: who may be quoted, and nobody named."""

import pytest

from workers.thread_examples import Said, authors, mentioned, pairs, records

NAMES = {"U1": ["jane", "Jane Doe"], "U2": ["rey", "Rey"], "U3": ["Al"]}


def said(*turns):
    return [Said(user_id, text) for user_id, text in turns]


def asked_and_answered(*turns, agreed=("U1", "U2", "U3")):
    made = records(said(*turns), set(agreed), NAMES)
    return [tuple(one["content"] for one in record["messages"]) for record in made]


def test_a_turn_is_all_that_one_person_says_in_a_row():
    thread = said(("U1", "a?"), ("U1", "really?"), ("U2", "yes"), ("U2", "or no"))
    assert pairs(thread) == [(Said("U1", "a?\nreally?"), Said("U2", "yes\nor no"))]
    assert authors(thread) == {"U1": 2, "U2": 2}


def test_an_answer_is_not_the_next_question():
    assert asked_and_answered(("U1", "a?"), ("U2", "b"), ("U3", "c?"), ("U2", "d"), ("U1", "thanks")) == [
        ("a?", "b"), ("c?", "d")
    ]  # fmt: skip


def test_whoever_did_not_agree_takes_the_pair_along_and_shifts_nobody():
    turns = [("U1", "a?"), ("U2", "b"), ("U1", "c?"), ("U3", "d")]
    assert asked_and_answered(*turns, agreed=("U1", "U3")) == [("c?", "d")]
    assert asked_and_answered(*turns, agreed=("U3",)) == []


def test_records_are_what_any_chat_file_has():
    (record,) = records(said(("U1", "a?"), ("U2", "b")), {"U1", "U2"}, {})
    assert record == {"messages": [{"role": "user", "content": "a?"}, {"role": "assistant", "content": "b"}]}


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("ask <@U2>", "ask [person 2]"),
        ("ask <@U2|rey>", "ask [person 2]"),
        ("ask <@U9>", "ask [somebody]"),
        ("<!channel> <!here> <!subteam^S1|@ops>", "[everybody] [everybody] [everybody]"),
        ("@channel look", "[everybody] look"),
        ("in <#C1|general>", "in [channel]"),
        ("see <https://x.org/a|the page> or <https://x.org>", "see the page or https://x.org"),
        ("JANE DOE, Jane and @REY, not Reyes", "[person 1], [person 1] and [person 2], not Reyes"),
        ("Al is too short a name", "Al is too short a name"),
        ("1 &lt; 2 &amp;&amp; 3 &gt; 2", "1 < 2 && 3 > 2"),
        ("typed &lt;!channel&gt; and &lt;@U2&gt;", "typed ‹!channel> and ‹@U2>"),
        ("nul\x00", "nul"),
    ],
)  # fmt: skip
def test_what_is_kept_of_the_text(written, kept):
    assert asked_and_answered(("U1", "q"), ("U2", written)) == [("q", kept)]


def test_a_turn_of_which_nothing_is_left_makes_no_example():
    assert asked_and_answered(("U1", "  "), ("U2", "b")) == []


def test_who_is_mentioned():
    assert mentioned(said(("U1", "<@U2> and <@U3|al>"), ("U1", "<!here>"))) == {"U2", "U3"}


def test_a_name_that_is_a_word_is_replaced_where_it_is_written_as_a_name():
    names = {"U1": ["will", "Will May"], "U2": ["ali", "ali"]}
    text = "Will, will you ask May what may come? will may, @will, ali, Ali, @ALI, al\u0131"
    (made,) = records(said(("U1", "q"), ("U2", text)), {"U1", "U2"}, names)
    assert made["messages"][1]["content"] == (
        "[person 1], will you ask [person 1] what may come? [person 1], [person 1], "
        "[person 2], [person 2], [person 2], al\u0131"
    )


def test_a_letter_that_only_looks_like_another_breaks_nothing():
    (made,) = records(said(("U1", "q"), ("U2", "ask @al\u0131")), {"U1", "U2"}, {"U2": ["Ali"]})
    assert made["messages"][1]["content"] == "ask [somebody]"
