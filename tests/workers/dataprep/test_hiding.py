"""What people are shown of texts: nothing secret or personal, not even half of it."""

from workers.dataprep.hiding import REACH, hidden

KEY = "ghp_" + "9aB8cD7eF6gH5iJ4kL3mN2oP1qR0sT9uV8wX"


def test_what_must_not_be_shown_is_named():
    assert hidden(f"{KEY} of anna@firma.de", 600) == "[hidden: GitHub token] of [hidden: e-mail address]"
    assert hidden("nothing of the kind", 600) == "nothing of the kind"


def test_a_key_that_is_cut_through_is_left_out():
    before = "a " * ((600 + REACH) // 2 - 10)
    shown = hidden(f"{before}{KEY} and more", 600)
    assert KEY[:8] not in shown
    assert len(shown) >= 600


def test_many_keys_do_not_bring_the_end_into_sight():
    shown = hidden(f"{KEY}\n" * 2000, 600)
    assert KEY[:8] not in shown
