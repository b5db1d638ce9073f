"""Personal data in the texts: e-mail addresses, phone and card numbers, IBANs, public IP addresses.

`find` is exact and prefers to miss one over a false alarm: a card must pass its check digit and belong to a brand, an
IBAN its check digits and its country's length, a phone number must be written as one. `suspects` looks at raw JSON
bytes, much faster, and never misses a chunk in which `find` would find something.
"""

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address

from workers.dataprep.checks.escapes import hides_ascii, plain
from workers.dataprep.checks.spans import Span, apart, redacted

EMAIL, PHONE, CARD, IBAN, ADDRESS = "e-mail address", "phone number", "card number", "IBAN", "IP address"

_LOCAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}\Z", re.ASCII)
_DOMAIN = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,5}[A-Za-z]{2,18}(?![A-Za-z0-9])", re.ASCII)
_NOBODY = frozenset({
    "example", "user", "username", "name", "email", "mail", "your", "yourname", "youremail", "your_email", "your-email",
    "test", "someone", "me", "info", "contact", "support", "admin", "noreply", "no-reply", "git", "hello", "sales",
    "postmaster", "webmaster", "firstname.lastname", "first.last", "foo", "bar", "abc", "xyz", "john.doe", "johndoe",
    "recipient", "sender", "user1", "user2",
})  # fmt: skip
_EXAMPLE_DOMAINS = ("example.com", "example.org", "example.net", "domain.com", "email.com", "yourdomain.com")
_FILES = frozenset(
    ["png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "ts", "py", "html", "json", "md", "txt", "map"]
)

_PHONE = re.compile(
    r"(?<![\w+.,/=*-])\+[1-9][0-9]{0,2}[ .-]?(?:\([0-9]{1,4}\)[ .-]?)?[0-9]{1,4}(?:[ .-]?[0-9]{2,4}){1,5}"
    r"(?![\w]|[.,][0-9])"  # +49 30 1234567
    r"|(?<![\w.,/=+-])(?:\+?1[ .-])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[.-])[2-9][0-9]{2}[ .-][0-9]{4}"
    r"(?![\w]|[-.,][0-9])"  # (415) 555-2671
    r"|(?<![\w.,/=+-])0[1-9](?:[ .-][0-9]{2}){4}(?![\w]|[ .,-][0-9])"  # 06 12 34 56 78
    r"|(?<![\w.,/=+-])0[1-9][0-9]{1,4}[ /-][0-9]{3,4}[ -]?[0-9]{4,5}(?![\w]|[ .,-][0-9])",  # 030 1234 5678
    re.ASCII,
)
_CARD = re.compile(
    r"(?<![\w.,-])(?:[0-9]{13,19}|[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{1,3})?"
    r"|3[47][0-9]{2}([ -])[0-9]{6}\2[0-9]{5})"
    r"(?![\w]|[.,-][0-9])",
    re.ASCII,
)
_IBAN = re.compile(
    r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])", re.ASCII
)
_IP = re.compile(r"(?<![\w.-])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![\w]|\.[0-9]|-[0-9])", re.ASCII)
_VERSION_BEFORE = re.compile(r"(?i)(?:version|section|chapter|release|build|firmware|\bver\.?|\bv\.?|§)[ :]*\Z")
_NETWORK_BEFORE = re.compile(r"(?i)\b(?:ips?|ipv4|address|host|server|ping|dns|client|resolver|gateway)\b")
_SPACE = re.compile(r"[\s\"'<>()]")
_DIGITS_IN_A_ROW = re.compile(r"[0-9]{4}", re.ASCII)

# ISO 13616: how long an IBAN of each country is.
_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU XK", 21: "CH CR HR LI LV",
        22: "BG BH DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB NI PL",
        29: "BR EG PS QA UA", 30: "JO KW MU", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip

_SHAPE = bytes(48 if 48 <= code < 58 else 32 if code in b".-" else code for code in range(256))
_SUSPECT_EMAIL = re.compile(rb"[A-Za-z0-9._%+-]@[A-Za-z0-9][A-Za-z0-9-]{0,62}\.[A-Za-z]|@(?:[A-Za-z0-9-]{1,63}\.){2}")
_SUSPECT_PLUS = re.compile(rb"\+[1-9][0-9 .()-]{6}")
_SUSPECT_IP = re.compile(rb"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]")
_SUSPECT_NUMBER = re.compile(
    rb"[0-9]{13}|[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}|3[47][0-9]{2}([ -])[0-9]{6}\2[0-9]{5}"
    rb"|[2-9][0-9]{2}(?:\) ?|[.-])[2-9][0-9]{2}[ .-][0-9]{4}|0[1-9][0-9]{1,4}[ /-][0-9]{3,4}[ -]?[0-9]{4}"
    rb"|[A-Z]{2}[0-9]{2} ?[A-Z0-9]{4} ?[A-Z0-9]{4}"
)
_DOTTED = re.compile(rb"\.[0-9]{1,3}\.(?=[0-9])")
_ALL_DIGITS = re.compile(rb"[0-9]*")


def find(text: str) -> Iterator[Span]:
    """Every piece of personal data in the text, in order and apart."""
    spans = list(_emails(text)) if "@" in text else []
    spans += (Span(ADDRESS, *match.span()) for match in _IP.finditer(text) if _public(text, match))
    spans += (Span(IBAN, *match.span()) for match in _IBAN.finditer(text) if _right_iban(match[0]))
    spans += (Span(CARD, *match.span()) for match in _CARD.finditer(text) if _right_card(match[0]))
    spans += (Span(PHONE, *match.span()) for match in _PHONE.finditer(text) if _right_phone(match[0]))
    yield from apart(spans)


def redact(text: str) -> str:
    """The text with each piece of personal data replaced by what it was."""
    return redacted(text, find)


def suspects(chunk: bytes) -> Iterator[int]:
    """Where in these bytes of JSON lines personal data may stand; nothing for a chunk without any for sure."""
    if hides_ascii(chunk):
        yield 0
    for sign, pattern in ((b"@", _SUSPECT_EMAIL), (b"+", _SUSPECT_PLUS)):
        position = chunk.find(sign)
        while position >= 0:
            if pattern.search(chunk, max(0, position - 1), position + 140):
                yield position
            position = chunk.find(sign, position + 1)
    for match in _DOTTED.finditer(chunk):
        if _SUSPECT_IP.search(chunk, max(0, match.start() - 5), match.end() + 5):
            yield match.start()
    shape = chunk.translate(_SHAPE)
    position = shape.find(b"00 00 00 00")
    if position >= 0:
        yield position
    position = shape.find(b"0000")
    while position >= 0:
        row = _ALL_DIGITS.match(chunk, position)
        end = row.end() if row else position + 4
        if end - position < 40 and _SUSPECT_NUMBER.search(plain(chunk[max(0, position - 48) : end + 24])):
            yield position
        position = shape.find(b"0000", end)


def may_have(chunk: bytes) -> bool:
    """Whether personal data may stand in these bytes of JSON lines; False only where `find` finds none in any text."""
    return next(suspects(chunk), None) is not None


def _emails(text: str) -> Iterator[Span]:
    position = text.find("@")
    while position >= 0:
        local = _LOCAL.search(text[max(0, position - 64) : position])
        domain = _DOMAIN.match(text, position + 1, position + 250)
        if local and domain and _somebody(local[0].lower(), domain[0].lower()) and not _in_url(text, position):
            yield Span(EMAIL, position - len(local[0]), domain.end())
        position = text.find("@", position + 1)


def _somebody(local: str, domain: str) -> bool:
    """Whether the address may be a person's, not one from a manual."""
    if domain.rpartition(".")[2] in (*_FILES, "invalid", "test", "example", "localhost"):
        return False
    return not (
        local in ("git", "noreply", "no-reply", "postmaster")
        or (local in _NOBODY and domain.endswith(_EXAMPLE_DOMAINS))
    )


def _in_url(text: str, position: int) -> bool:
    """Whether the @ stands in an address such as ftp://user:password@host."""
    before = text[max(0, position - 200) : position].rpartition("://")
    return bool(before[1]) and not _SPACE.search(before[2])


def _public(text: str, match: re.Match[str]) -> bool:
    try:
        address = IPv4Address(match[0])
    except AddressValueError:
        return False
    before = text[max(0, match.start() - 40) : match.start()]
    if not address.is_global or address.is_multicast or _VERSION_BEFORE.search(before):
        return False
    return len(match[0]) > len("1.2.3.4") or _NETWORK_BEFORE.search(before) is not None


def _right_iban(written: str) -> bool:
    compact = written.replace(" ", "")
    if _IBAN_LENGTHS.get(compact[:2]) != len(compact) or not _DIGITS_IN_A_ROW.search(written):
        return False
    return int("".join(str(int(sign, 36)) for sign in compact[4:] + compact[:4])) % 97 == 1


def _right_card(written: str) -> bool:
    digits = [int(sign) for sign in written if sign.isdigit()]
    head = int("".join(map(str, digits[:4])))
    brand = (
        (len(digits) in (13, 16, 19) and head // 1000 == 4)
        or (len(digits) == 16 and (51 <= head // 100 <= 55 or 2221 <= head <= 2720))
        or (len(digits) == 15 and head // 100 in (34, 37))
        or (len(digits) in (16, 19) and (head == 6011 or head // 10 in range(644, 660) or 3528 <= head <= 3589))
        or (len(digits) == 14 and (head // 100 in (36, 38, 39) or 300 <= head // 10 <= 305))
    )
    doubled = sum(
        digit if place % 2 == 0 else (digit * 2 - 9 if digit > 4 else digit * 2)
        for place, digit in enumerate(reversed(digits))
    )
    return brand and len(set(digits)) > 1 and doubled % 10 == 0


def _right_phone(written: str) -> bool:
    digits = [sign for sign in written if sign.isdigit()]
    return (8 if written.startswith("+") else 10) <= len(digits) <= 15 and len(set(digits)) > 2
