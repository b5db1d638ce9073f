from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.dataprep.blocks import batches, blocks


def read(path: Path, *, block: int = 7, batch: int = 5, most: int = 1000) -> list[tuple[int, bytes | None]]:
    """Every line with its offset, as all blocks together give them."""
    found = []
    for one in blocks(path, 0, block):
        for some in batches(one, most, batch):
            if None in some.lines:
                assert len(some.lines) == 1
                found.append((some.start, None))
            else:
                found += list(zip(some.offsets().tolist(), some.lines, strict=True))
                assert some.data.removesuffix(b"\n").split(b"\n") == some.lines
    return found


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"\n", b"")), max_size=12), st.booleans(),
       st.integers(1, 40), st.integers(1, 40))  # fmt: skip
def test_blocks_hold_every_line_once_whatever_their_size(tmp_path_factory, lines, ended, block, batch):
    path = tmp_path_factory.mktemp("blocks") / "file"
    data = b"\n".join(lines) + (b"\n" if ended and lines else b"")
    path.write_bytes(data)
    expected = data.removesuffix(b"\n").split(b"\n") if data else []
    found = read(path, block=block, batch=batch)
    assert [line for _, line in found] == expected
    assert all(data[offset : offset + len(line)] == line for offset, line in found)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=8), st.integers(1, 50), st.integers(1, 30))
def test_a_line_over_the_limit_is_none_and_the_others_are_read(tmp_path_factory, lengths, block, batch):
    path = tmp_path_factory.mktemp("long") / "file"
    path.write_bytes(b"".join(b"x" * length + b"\n" for length in lengths))
    found = read(path, block=block, batch=batch, most=20)
    assert [line for _, line in found] == [b"x" * length if length <= 20 else None for length in lengths]


def test_only_the_last_batch_of_a_file_without_a_line_end_is_cut(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"one\ntwo\nthr")
    cut = [(batch.lines, batch.cut) for one in blocks(path, 0, 4) for batch in batches(one, 100, 4)]
    assert [lines for lines, was in cut if was] == [[b"thr"]]


def test_a_hundred_megabytes_without_a_line_end_need_little_memory(tmp_path):
    import tracemalloc

    path = tmp_path / "file"
    with path.open("wb") as file:
        for _ in range(100):
            file.write(b"x" * 1_000_000)
        file.write(b"\nlast\n")
    tracemalloc.start()
    found = [line for one in blocks(path) for batch in batches(one, 8_000_000) for line in batch.lines]
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [None, b"last"]
    assert most < 40_000_000


@pytest.mark.parametrize("offset", [0, 3])
def test_reading_begins_at_the_offset(tmp_path, offset):
    path = tmp_path / "file"
    path.write_bytes(b"abcdef\nghi\n")
    assert [line for one in blocks(path, offset, 4) for batch in batches(one, 100) for line in batch.lines] == [
        b"abcdef"[offset:],
        b"ghi",
    ]
