"""Which text encoding a file is in, and its text as UTF-8.

A byte order mark is believed. Without one, UTF-8 is tried on samples from the whole file; where some lines are UTF-8
and some are not, the file is kept as it is and each wrong line becomes a finding. Only a file without any UTF-8 is
taken for a legacy encoding.
"""

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from workers.dataprep.checks import Found, Severity
from workers.dataprep.limits import WANTED, Limits, UnreadableDataset, megabytes

_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_SAMPLE_BYTES = 1 << 18
_SAMPLES = 16
_PIECE_BYTES = 1 << 22
_WHOLE_BYTES = 64_000_000
"""A file up to this size is looked through as a whole; a larger one in samples."""
_CONTROLS = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
_FOLLOWING = bytes(range(0x80, 0xC0))
"""Bytes inside a UTF-8 character: with what a sample begins that was cut there."""
_TELLING_BYTES = 30_000
_BLOCK = 1 << 20
_WESTERN = "windows-1252"
_SIGN_IN_WORD = re.compile(rb"(?<=[A-Za-z\xc0-\xff])[\xa1-\xaa\xac-\xba\xbc-\xbf](?=[A-Za-z\xc0-\xff])")
_NEVER_MEANT = frozenset({"ascii", "utf_8", "latin_1", "cp1252", "iso8859_15", "mac_roman", "cp437", "cp850", "cp858"})
_WESTERN_TABLE = "".join(
    bytes([byte]).decode("cp1252", "ignore") or chr(byte)  # five bytes stand for nothing; browsers keep them, too
    for byte in range(256)
)


@dataclass(frozen=True)
class Encoding:
    """An encoding, how many bytes of mark the file begins with, and what should be said about it."""

    name: str
    mark: int = 0
    findings: tuple[tuple[int | None, Found], ...] = ()
    line_ends: str = "\n"

    @property
    def in_place(self) -> bool:
        """Whether the file can be read as UTF-8 lines where it lies."""
        return self.name.startswith("utf-8") and self.line_ends == "\n"


def detect(path: Path, head: bytes) -> Encoding:
    """The file's encoding. Raises UnreadableDataset for what is no text."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return Encoding(name, len(mark), line_ends=_line_ends(head) if name == "utf-8-sig" else "\n")
    if unmarked := _unmarked_utf16(head[:4096]):
        return Encoding(unmarked)
    beginning = head[:65_536]
    if len(_CONTROLS.findall(beginning)) > max(8, len(beginning) // 20):
        raise UnreadableDataset(f"It is binary data, not text. {WANTED}")
    right = wrong = 0
    telling = b""
    for sample in chain([head], _samples(path, len(head))):
        good, bad = _judged(sample)
        right, wrong = right + good, wrong + bad
        if bad and len(telling) < _TELLING_BYTES:
            telling += b"\n".join(line for line in sample.splitlines() if not line.isascii())
    ends = _line_ends(head)
    if not wrong:
        return Encoding("utf-8", line_ends=ends)
    if right * 10 > wrong:
        words = (
            "Some lines are UTF-8 text and some are not: the file was put together from different encodings. "
            "Save all parts as UTF-8, or let the wrong lines be re-encoded."
        )
        found = Found("mixed_encoding", words, severity=Severity.WARNING)
        return Encoding("utf-8", findings=((None, found),), line_ends=ends)
    return _legacy(telling)


def transcoded(path: Path, encoding: Encoding, limits: Limits, out: Path) -> Path:
    """Write the text as UTF-8 with plain line ends. Raises UnreadableDataset where it is damaged."""
    decode = _decoder(encoding.name)
    errors = "surrogateescape" if encoding.name.startswith("utf-8") else "strict"
    written = read = 0
    line_ends = ""
    with path.open("rb") as file, out.open("wb") as target:
        file.seek(encoding.mark)
        while True:
            block = file.read(_BLOCK)
            try:
                text = decode(block, not block)
            except UnicodeDecodeError as error:
                raise UnreadableDataset(
                    f"Its text is damaged: it begins as {encoding.name.upper()}, but what stands near byte "
                    f"{read + error.start + 1:,} is not. Was it copied completely? Save it again as UTF-8."
                ) from error
            read += len(block)
            line_ends = line_ends or ("\r" if "\r" in text and "\n" not in text else "\n")
            data = (text.replace("\r", "\n") if line_ends == "\r" else text).encode("utf-8", errors)
            written += len(data)
            if written > limits.max_plain_bytes:
                raise UnreadableDataset(f"Its text is larger than {megabytes(limits.max_plain_bytes)}. Split it.")
            target.write(data)
            if not block:
                return out


def _decoder(name: str) -> Callable[[bytes, bool], str]:
    """UTF-16 must be whole; of a guessed encoding, what does not fit becomes a mark that the checks find."""
    if name == _WESTERN:
        return lambda block, _: codecs.charmap_decode(block, "strict", _WESTERN_TABLE)[0]
    errors = "surrogateescape" if name.startswith("utf-8") else "strict" if name.startswith("utf-") else "replace"
    codec = "utf-8" if name.startswith("utf-8") else name
    return codecs.getincrementaldecoder(codec)(errors).decode


def _unmarked_utf16(head: bytes) -> str:
    """UTF-16 without a mark: every other byte of Latin text is zero."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    half = max(1, len(head) // 2)
    if odd > half * 0.3 and even < half * 0.02:
        return "utf-16-le"
    if even > half * 0.3 and odd < half * 0.02:
        return "utf-16-be"
    return ""


def _samples(path: Path, start: int) -> Iterator[bytes]:
    """The rest of the file, or pieces of a large one, without the lines that they begin and end in."""
    size = path.stat().st_size
    is_large = size - start > _WHOLE_BYTES
    length = _SAMPLE_BYTES if is_large else _PIECE_BYTES
    step = (size - start) // _SAMPLES if is_large else length
    with path.open("rb") as file:
        for place in range(start, size, step):
            file.seek(place)
            piece = file.read(length)
            yield piece[piece.find(b"\n") + 1 : piece.rfind(b"\n") + 1] or piece.lstrip(_FOLLOWING)


def _judged(sample: bytes) -> tuple[int, int]:
    """How many lines of a sample have letters outside ASCII that are UTF-8, and how many have such that are not."""
    whole = sample[: _whole(sample)]
    try:
        whole.decode()
    except UnicodeDecodeError:
        pass
    else:
        return (0 if whole.isascii() else sum(not line.isascii() for line in whole.splitlines())), 0
    right = wrong = 0
    for line in whole.splitlines():
        if line.isascii():
            continue
        try:
            line.decode()
        except UnicodeDecodeError:
            wrong += 1
        else:
            right += 1
    return right, wrong


def _whole(sample: bytes) -> int:
    """The length of a sample without a character that its end cuts."""
    for back in range(1, min(4, len(sample)) + 1):
        byte = sample[-back]
        if byte & 0xC0 == 0xC0:
            needs = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(sample) - back if needs > back else len(sample)
        if byte < 0x80:
            break
    return len(sample)


def _line_ends(head: bytes) -> str:
    return "\r" if b"\r" in head and b"\n" not in head else "\n"


def _legacy(telling: bytes) -> Encoding:
    """The likeliest 8-bit or East Asian encoding, from some lines that are not ASCII."""
    name = _WESTERN
    if not _is_western(telling):
        import charset_normalizer

        best = charset_normalizer.from_bytes(telling[:_TELLING_BYTES]).best()
        name = best.encoding if best and best.encoding not in _NEVER_MEANT else _WESTERN
    spelt = re.sub(r"^cp(125\d)$", r"windows-\1", name.replace("_", "-"))
    words = (
        f"The file is not UTF-8; it was read as {spelt}. Look at the examples: if letters are wrong, "
        "save the file as UTF-8 and attach it again."
    )
    return Encoding(spelt, findings=((None, Found("legacy_encoding", words, severity=Severity.WARNING)),))


def _is_western(telling: bytes) -> bool:
    """Whether the bytes outside ASCII are few and, as Windows-1252, never signs in the middle of words."""
    outside = sum(1 for byte in telling if byte >= 0x80)
    in_words = len(_SIGN_IN_WORD.findall(telling))
    return outside * 4 < len(telling) and in_words * 20 <= outside
