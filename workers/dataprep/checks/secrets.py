"""Secrets in the texts: keys, tokens, private keys, passwords. A model that learnt them tells them to anybody.

`find` is exact. `suspects` looks at raw JSON bytes, much faster, and never misses a chunk in which `find` would find
something: all but passwords and private keys have at least 20 characters of a token in a row, which text seldom has.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator

from workers.dataprep.checks.escapes import hides_ascii, plain
from workers.dataprep.checks.spans import Span, apart, redacted

RUN = 20
"""So many characters of a token in a row have all secrets here but passwords and private keys."""
BLOB = 1000
"""A longer run of them is a picture or a file in base64, in which anything may stand by chance."""

_TOKENS: tuple[tuple[str, str], ...] = (
    ("AWS access key", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Za-z0-9])"),
    ("GitHub token", r"gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{30,255}"),
    ("GitLab token", r"glpat-[A-Za-z0-9_-]{20,60}"),
    ("Slack token", r"xox[abeoprs]-[A-Za-z0-9-]{15,255}|xapp-\d-[A-Za-z0-9-]{20,255}"),
    (
        "Slack webhook",
        r"hooks\.slack\.com/(?:services|workflows)/T[A-Za-z0-9]{4,20}/[A-Za-z0-9]{4,20}/[A-Za-z0-9/]{20,80}",
    ),
    ("Anthropic key", r"sk-ant-[A-Za-z0-9_-]{20,255}"),
    ("OpenAI key", r"sk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{20,255}|sk-(?:or-v1-)?[A-Za-z0-9]{20,255}"),
    ("Google API key", r"AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
    ("Google OAuth secret", r"GOCSPX-[A-Za-z0-9_-]{20,40}|ya29\.[A-Za-z0-9_-]{20,255}"),
    ("Stripe key", r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,255}|whsec_[A-Za-z0-9]{24,255}"),
    ("Hugging Face token", r"hf_[A-Za-z0-9]{30,60}"),
    ("npm token", r"npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])"),
    ("PyPI token", r"pypi-AgE[A-Za-z0-9_-]{50,255}"),
    ("SendGrid key", r"SG\.[A-Za-z0-9_-]{20,40}\.[A-Za-z0-9_-]{20,60}"),
    ("JSON web token", r"eyJ[A-Za-z0-9_-]{17,4000}\.eyJ[A-Za-z0-9_-]{8,8000}\.[A-Za-z0-9_-]{10,2000}"),
)
_KEYWORD = (
    r"(?i:secret|token|api[_-]?key|access[_-]?key|account[_-]?key|auth[_-]?key|private[_-]?key|encryption[_-]?key)"
)
_ASSIGNED = rf"{_KEYWORD}[A-Za-z0-9_-]{{0,20}}[\"'\\]{{0,4}}\s{{0,3}}(?:=>|:=|=|:)\s{{0,3}}[\"'\\]{{0,4}}"
_PASSWORD_WORD = r"(?:[Pp]assw(?:or)?d|PASSW(?:OR)?D)"  # noqa: S105 (the word, not one)
_NAMES = tuple(f"t{number}" for number in range(len(_TOKENS)))

_TOKEN = re.compile(
    "(?<![A-Za-z0-9_])(?:"
    + "|".join(f"(?P<{name}>{core})" for name, (_, core) in zip(_NAMES, _TOKENS, strict=True))
    + ")",
    re.ASCII,
)
_ASSIGNMENT = re.compile(_ASSIGNED + r"(?P<value>[A-Za-z0-9_+/=-]{20,255})(?![A-Za-z0-9_+/=.(\[-])", re.ASCII)
_PASSWORD_SET = (
    _PASSWORD_WORD
    + r"[A-Za-z0-9_]{0,12}[\"'\\]{0,4}(?: ?(?:=>|:=|=|:) ?| is )[\"'\\]{0,4}(?P<value>[A-Za-z0-9!#%&*+./:=?@^_`|~-]"
)
_PASSWORD = re.compile(_PASSWORD_SET + r"{8,80})(?![(\[{<$A-Za-z0-9])", re.ASCII)
_CREDENTIALS = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/:@\"'<>\\]{1,64}:(?P<value>[^\s/@\"'<>{}$\\\[\]]{4,128})@[A-Za-z0-9]",
    re.ASCII,
)
_PRIVATE = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s\\]*", re.ASCII)
_RUN = re.compile(rf"[A-Za-z0-9_+/-]{{{RUN}}}", re.ASCII)
_BLOB = re.compile(rf"[A-Za-z0-9_+/-]{{{BLOB},}}", re.ASCII)
_WORDS = re.compile(r"[A-Za-z]+[0-9]{0,4}(?:[_-][A-Za-z]*[0-9]{0,4})+", re.ASCII)
_PLACEHOLDER = re.compile(
    r"(?i)your|example|placeholder|changeme|change_me|redacted|removed|dummy|insert|xxxx|\*\*\*|\.\.\.|password|passwd"
    r"|1234567890abcdef|abcdefgh"
)
_STAND_IN = re.compile(r"(?i)x{6}|your|placeholder|redacted|\*\*\*")

_SHAPE = bytes(97 if chr(code) in "_+/-" or (code < 128 and chr(code).isalnum()) else 32 for code in range(256))
_SUSPECT = re.compile(
    "|".join([*(core.partition(r"\.eyJ")[0] for _, core in _TOKENS), _ASSIGNED + "[A-Za-z0-9_+/=-]{20}"]).encode()
)
_SUSPECT_PASSWORD = re.compile((_PASSWORD_SET + "{8})").encode())
_BEFORE, _AFTER = 160, 100


def find(text: str) -> Iterator[Span]:
    """Every secret in the text, in order and apart."""
    spans = list(_private_keys(text)) if "PRIVATE KEY" in text else []
    if "assw" in text or "ASSW" in text:
        spans += (
            Span("password", *match.span("value"))
            for match in _PASSWORD.finditer(text)
            if _like_password(match["value"])
        )
    if "://" in text and "@" in text:
        spans += (
            Span("password in an address", *match.span("value"))
            for match in _CREDENTIALS.finditer(text)
            if not _PLACEHOLDER.search(match["value"]) and match["value"] not in ("pass", "pwd", "secret", "port")
        )
    if _RUN.search(text):
        spans += _tokens(text)
    yield from apart(spans)


def redact(text: str) -> str:
    """The text with each secret replaced by what it was."""
    return redacted(text, find)


def suspects(chunk: bytes) -> Iterator[int]:
    """Where in these bytes of JSON lines secrets may stand; nothing for a chunk in which there are none for sure."""
    if hides_ascii(chunk):
        yield 0
    yield from _private_suspects(chunk)
    for word in (b"assw", b"ASSW"):
        position = chunk.find(word)
        while position >= 0:
            if _SUSPECT_PASSWORD.search(plain(chunk[max(0, position - 1) : position + 200])):
                yield position
            position = chunk.find(word, position + 4)
    position = chunk.find(b"@")
    while position >= 0:
        before = plain(chunk[max(0, position - 400) : position])
        if b"://" in before and b":" in before.rpartition(b"://")[2]:
            yield position
        position = chunk.find(b"@", position + 1)
    yield from _run_suspects(chunk)


def may_have(chunk: bytes) -> bool:
    """Whether secrets may stand in these bytes of JSON lines; False only where `find` finds none in any text."""
    return next(suspects(chunk), None) is not None


def _private_suspects(chunk: bytes) -> Iterator[int]:
    position = chunk.find(b"PRIVATE KEY")
    while position >= 0:
        if b"-----BEGIN" in chunk[max(0, position - 100) : position]:
            yield position
        position = chunk.find(b"PRIVATE KEY", position + 11)


def _run_suspects(chunk: bytes) -> Iterator[int]:
    shape = chunk.translate(_SHAPE)
    run = b"a" * RUN
    position = shape.find(run)
    while position >= 0:
        end = shape.find(b" ", position)
        end = len(chunk) if end < 0 else end
        if end - position < BLOB + 100 and _SUSPECT.search(plain(chunk[max(0, position - _BEFORE) : end + _AFTER])):
            yield position
        position = shape.find(run, end)


def _tokens(text: str) -> Iterator[Span]:
    if _BLOB.search(text):
        text = _BLOB.sub(lambda match: " " * len(match[0]), text)
    for match in _TOKEN.finditer(text):
        if _RUN.search(match[0]) and _like_token(match[0]):
            yield Span(_TOKENS[int((match.lastgroup or "t0")[1:])][0], *match.span())
    for match in _ASSIGNMENT.finditer(text):
        value = match["value"]
        if _RUN.search(value) and _like_random(value):
            yield Span("secret that is assigned", *match.span("value"))


def _private_keys(text: str) -> Iterator[Span]:
    closing, position = -2, 0
    while begin := _PRIVATE.search(text, position):
        if closing != -1 and closing < begin.end():
            closing = text.find("-----END", begin.end())
        if closing >= 0 and closing - begin.end() < 20_000:
            tail = text.find("-----", closing + 8, closing + 100)
            end = tail + 5 if tail >= 0 else closing + 8
        else:
            body = _BASE64.match(text, begin.end())
            end = body.end() if body else begin.end()
        yield Span("private key", begin.start(), end)
        position = end


def _like_token(token: str) -> bool:
    """Whether it is no row of words or of x."""
    return len(set(token)) >= 10 and any(map(str.isdigit, token)) and not _STAND_IN.search(token)


def _like_random(value: str) -> bool:
    digits = sum(map(str.isdigit, value))
    if digits < 3 or not any(map(str.isalpha, value)) or _PLACEHOLDER.search(value) or _WORDS.fullmatch(value):
        return False
    return _entropy(value) >= 3.2


def _like_password(value: str) -> bool:
    """Whether it is made up, and neither a word, nor an expression, nor a stand-in."""
    value = value.rstrip(".:!?`*_|")
    kinds = sum(
        any(map(test, value)) for test in (str.islower, str.isupper, str.isdigit, lambda one: not one.isalnum())
    )
    if len(value) < 8 or kinds < 2 or not any(map(str.isdigit, value)) or not any(map(str.isalpha, value)):
        return False
    if _PLACEHOLDER.search(value) or re.search(r"[A-Za-z_]\.[A-Za-z_]|://|->|==|%s|\\", value):
        return False
    return _entropy(value) >= 2.5


def _entropy(value: str) -> float:
    """Bits a character."""
    return -sum(count / len(value) * math.log2(count / len(value)) for count in Counter(value).values())
