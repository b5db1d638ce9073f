import pytest

from providers.local.serving.detokenise import TextStream


@pytest.fixture(scope="module")
def tokenizer(tiny):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny, local_files_only=True)


def pieces(tokenizer, text, stops=()):
    stream = TextStream(tokenizer, stops)
    out = []
    for token in tokenizer(text, add_special_tokens=False)["input_ids"]:
        if stream.stopped:
            break
        out.append(stream.add(token))
    return [*out, stream.finish()]


@pytest.mark.parametrize(
    "text",
    ["plain words", "d\u00e9j\u00e0 vu", "\U0001f469\u200d\U0001f373 \u6599\u7406", " a  b\n\nc ", "\u0e01\u0e33"],
)
def test_pieces_make_the_text_and_never_show_half_a_character(tokenizer, text):
    out = pieces(tokenizer, text)
    assert "".join(out) == text
    assert all("\ufffd" not in piece for piece in out)


def test_bytes_that_are_no_text_are_not_held_for_ever(tokenizer):
    stream = TextStream(tokenizer)
    half = tokenizer("\u00e9", add_special_tokens=False)["input_ids"][0]
    shown = "".join(stream.add(half) for _ in range(50))
    assert 30 <= shown.count("\ufffd") <= 50
    assert (shown + stream.finish()).count("\ufffd") == 50


@pytest.mark.parametrize(
    ("text", "stops", "shown"),
    [
        ("one. two. three", ["two"], "one. "),
        ("one. two", ["#", ". t"], "one"),
        ("one tw", ["two"], "one tw"),
        ("a\nb", ["\n"], "a"),
        ("abc", [""], "abc"),
    ],
)
def test_the_answer_ends_before_a_stop_text(tokenizer, text, stops, shown):
    assert "".join(pieces(tokenizer, text, stops)) == shown
