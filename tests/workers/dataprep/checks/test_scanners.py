"""Secrets, personal data and mojibake: found, not mistaken, taken away, and never missed by the quick look."""

import base64
import json
import random
import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workers.dataprep.checks import PRIVATE_CHECKS, mojibake, personal, secrets
from workers.dataprep.checks.excerpts import mark
from workers.dataprep.example import Example, Message

# Put together here, so that no scanner of this repository takes them for real ones.
BODY = "9aB8cD7eF6gH5iJ4kL3mN2oP1qR0sT9uV8wX7yZ6"
SECRETS = [
    ("AWS access key", "AKIA" + "IOSFODNN7EXAMPLE"),
    ("GitHub token", "ghp_" + BODY[:36]),
    ("GitHub token", "github_pat_" + BODY[:22] + "_" + BODY + BODY[:19]),
    ("GitLab token", "glpat-" + BODY[:20]),
    ("Slack token", "xoxb-" + "123456789012-1234567890123-" + BODY[:24]),
    ("Slack webhook", "hooks.slack.com/" + "services/T0A1B2C3D/B0A1B2C3D/" + BODY[:24]),
    ("Anthropic key", "sk-ant-" + "api03-" + BODY),
    ("OpenAI key", "sk-proj-" + BODY),
    ("OpenAI key", "sk-" + BODY + BODY[:8]),
    ("Google API key", "AIza" + BODY[:35]),
    ("Stripe key", "sk_live_" + BODY[:24]),
    ("Hugging Face token", "hf_" + BODY[:34]),
    ("npm token", "npm_" + BODY[:36]),
    ("SendGrid key", "SG." + BODY[:22] + "." + BODY),
    ("JSON web token", "eyJ" + "hbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0." + BODY),
]
ASSIGNED = [
    ("secret that is assigned", 'client_secret = "' + BODY + '"', BODY),
    ("secret that is assigned", "API_KEY=" + BODY, BODY),
    ("secret that is assigned", '{"access_token": "' + BODY + '"}', BODY),
    ("password", "password: Tr0ub4dor&3x", "Tr0ub4dor&3x"),
    ("password", 'DB_PASSWORD="s3cr3t-h4mst3r"', "s3cr3t-h4mst3r"),
    ("password in an address", "postgres://admin:hunter22@db.internal/app", "hunter22"),
]
PRIVATE_KEY = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEow" + BODY + "\nAb+/=\n-----END RSA " + "PRIVATE KEY-----"

NO_SECRETS = [
    "sk-estimator-doc-link-that-is-a-class-name-of-scikit",
    "password: str = field(default_factory=default_password)",
    'password = request.form["password"]',
    "Enter your password: ********",
    "password=<your-password-here1>",
    "api_key = os.environ['OPENAI_API_KEY']",
    'api_key="YOUR_API_KEY_1234567890"',
    "token = tokenizer.convert_tokens_to_ids_2024(text)",
    "the_secret_of_my_success_in_2024_and_2025 = 12",
    "token: 00000000000000000000000000000000",
    "commit 3f786850e387550fdab836ed7e6dc881de23001b",
    "https://example.com/a/very/long/path/with/many/words/in/it/index.html",
    "AKIA is the prefix of AWS keys, ghp_ that of GitHub's",
    "the hf_hub_download function of huggingface_hub_utilities_module",
    "data:image/png;base64," + base64.b64encode(random.Random(1).randbytes(30_000)).decode(),
]

PERSONAL = [
    (personal.EMAIL, "anna.bauer@firma.de"),
    (personal.EMAIL, "jane.smith+work@mail.example.co.uk"),
    (personal.PHONE, "+49 30 1234567"),
    (personal.PHONE, "+14155552671"),
    (personal.PHONE, "(415) 555-2671"),
    (personal.PHONE, "415-555-2671"),
    (personal.PHONE, "06 12 34 56 78"),
    (personal.CARD, "4111 1111 1111 1111"),
    (personal.CARD, "5555555555554444"),
    (personal.CARD, "3782 822463 10005"),
    (personal.IBAN, "DE89 3704 0044 0532 0130 00"),
    (personal.IBAN, "GB29NWBK60161331926819"),
    (personal.ADDRESS, "81.2.69.142"),
]
NO_PERSONAL = [
    "version 1.2.3.4 and 10.0.0.1, 192.168.1.20, 127.0.0.1, 999.1.1.1 and 1.2.3.4.5",
    "user@example.com, you@localhost, @app.route, git@github.com:a/b.git, icon@2x.png, lodash@4.17.21",
    "ftp://username:word@hostname.com/x",
    "4111 1111 1111 1112, 1234 5678 9012 3456, 0000 0000 0000 0000",
    "DE89 3704 0044 0532 0130 01",
    "2019-2020, 1998 to 2004, 12,345,678 and 3.14159265358979",
    "48 + 24 = 72; x+12345678; 1e+12345678; <<48+24=72>>",
    "0123456789 is all digits; id 20240115103000",
    "The numbers are 12 34 56 78 90.",
    "SKU-415-555-2671-9",
]


def raw(text, **how):
    return json.dumps({"messages": [{"role": "user", "content": text}]}, **how).encode()


def dot_net(text):
    """As System.Text.Json writes it: quotes, + and & as escapes."""
    escaped = "".join(f"\\u{ord(sign):04X}" if sign in "\"'+&<>`" or ord(sign) > 126 else sign for sign in text)
    return b'{"content":"' + escaped.replace("\n", "\\n").encode() + b'"}'


def forms(text):
    yield raw(text)
    yield raw(text, ensure_ascii=False)
    yield raw(text).replace(b"/", b"\\/")
    yield dot_net(text.replace("\\", ""))


@pytest.mark.parametrize(("kind", "secret"), SECRETS)
@pytest.mark.parametrize("around", ["%s", "Use %s.", "key=%s", "(%s)", '"%s"', "Bearer %s\n", "é%s", "\n%s\t"])
def test_a_secret_is_found_where_it_is(kind, secret, around):
    text = around % secret
    if around == "é%s":
        text = "é " + secret
    (span,) = secrets.find(text)
    assert span.kind == kind
    assert text[span.start : span.end].startswith(secret)
    assert all(map(secrets.may_have, forms(text)))
    assert secret not in secrets.redact(text)
    assert list(secrets.find(secrets.redact(text))) == []


@pytest.mark.parametrize(("kind", "text", "secret"), ASSIGNED)
def test_what_is_assigned_is_a_secret_by_its_name(kind, text, secret):
    (span,) = secrets.find(text)
    assert (span.kind, text[span.start : span.end]) == (kind, secret)
    assert all(map(secrets.may_have, forms(text)))
    assert secrets.redact(text) == text.replace(secret, f"[removed: {kind}]")


def test_a_private_key_goes_whole():
    text = f"Here:\n{PRIVATE_KEY}\nThanks"
    assert secrets.redact(text) == "Here:\n[removed: private key]\nThanks"
    assert secrets.redact(text[:70]) == "Here:\n[removed: private key]"
    assert secrets.may_have(raw(text))
    assert secrets.redact(json.dumps(text)) == '"Here:\\n[removed: private key]\\nThanks"'


@pytest.mark.parametrize("text", NO_SECRETS)
def test_what_is_no_secret(text):
    assert list(secrets.find(text)) == []
    assert secrets.redact(text) == text


@pytest.mark.parametrize(("kind", "value"), PERSONAL)
@pytest.mark.parametrize("around", ["%s", "Write to %s please", "(%s)", "it is %s.", "\n%s\n", "<%s>"])
def test_personal_data_is_found_where_it_is(kind, value, around):
    text = around % value
    (span,) = personal.find(text)
    assert (span.kind, text[span.start : span.end]) == (kind, value)
    assert all(map(personal.may_have, forms(text)))
    assert personal.redact(text) == around % f"[removed: {kind}]"


@pytest.mark.parametrize("text", NO_PERSONAL)
def test_what_is_no_personal_data(text):
    assert list(personal.find(text)) == []


@pytest.mark.parametrize(
    ("garbled", "right"),
    [
        ("cafÃ©", "café"),
        ("itâ€™s â€œfineâ€\x9d", "it’s “fine”"),
        ("10 â‚¬ Â·", "10 € ·"),
        ("cafÃƒÂ©", "café"),
        ("ðŸ˜€!", "😀!"),
        ("ÐŸÑ€Ð¸Ð²ÐµÑ‚, Ð¼Ð¸Ñ€", "Привет, мир"),
        ("å¤©æ°—", "天気"),
        ("ï»¿start", "\ufeffstart"),
    ],
)
def test_mojibake_is_turned_back(garbled, right):
    assert mojibake.repair(garbled) == right
    assert list(mojibake.find(right)) == []
    assert mojibake.may_have(raw(garbled))
    assert mojibake.may_have(raw(garbled, ensure_ascii=False))


@pytest.mark.parametrize(
    "text",
    [
        "naïve café à la carte",
        "«É», „Ä“, Ärger…",
        "São Paulo, NÃO!",
        "Łódź, Ångström, Škoda",
        "Привет, мир",
        "天気",
        "Â",
        "â",
    ],
)
def test_what_is_no_mojibake(text):
    assert list(mojibake.find(text)) == []
    assert mojibake.repair(text) == text


def test_a_place_is_marked_and_its_secrets_masked():
    token = "ghp_" + BODY[:36]
    text = f"My mail is anna.bauer@firma.de and my token {token}, please keep both."
    excerpt = mark(text, text.index(token), text.index(token) + len(token))
    assert excerpt == "…ail is an… and my token »ghp_…«, please keep both."
    cut = mark(text, 0, 2)
    assert cut == "»My« mail is an… and my toke…"
    assert token[:8] not in mark("x" * 30 + " " + token, 0, 10)


def test_the_findings_of_an_example_say_where_and_what_to_do():
    call = {"id": "1", "type": "function", "function": {"name": "mail", "arguments": '{"to": "anna.bauer@firma.de"}'}}
    some = (
        Message("user", "a@firma.de, b@firma.de, 81.2.69.142"),
        Message("assistant", [{"type": "text", "text": "password: Tr0ub4dor&3x"}]),
        Message("assistant", None, {"tool_calls": [call]}),
    )
    founds = [one for check in PRIVATE_CHECKS for one in check(Example(some, extra={"note": "c@firma.de"}))]
    assert [(one.check, one.message, one.fix) for one in founds] == [
        ("secret", 2, "redact"),
        ("personal_data", 1, "redact"),
        ("personal_data", 1, "redact"),
        ("personal_data", 3, "redact"),
        ("personal_data", None, "redact"),
    ]
    assert "2 of them" in founds[1].words
    assert founds[0].excerpt == "password: »Tr0u…«"
    assert "firma" not in "".join(one.excerpt for one in founds)


piece = st.one_of(
    st.sampled_from([secret for _, secret in SECRETS] + [text for _, text, _ in ASSIGNED] + NO_SECRETS[:13]),
    st.sampled_from([value for _, value in PERSONAL] + NO_PERSONAL + [PRIVATE_KEY, "cafÃ©", "Ã", "â€", "\ufffd"]),
    st.text(string.printable, max_size=12),
    st.text(max_size=8),
    st.text("0123456789 .-+()@:/=\"'", max_size=24),
)


@given(
    pieces=st.lists(piece, max_size=8), glue=st.sampled_from(["", " ", "\n", '"', ": ", "="]), form=st.integers(0, 2)
)
@settings(max_examples=300, deadline=None)
@example(pieces=["\u20ac" + "password='" + "Tr0ub4dor&3x"], glue="", form=0)
def test_the_quick_look_misses_nothing_and_redacting_leaves_nothing(pieces, glue, form):
    text = glue.join(pieces).encode("utf-8", "replace").decode()
    line = list(forms(text.replace("\\", "|")))[form]
    text = text.replace("\\", "|")
    for scanner in (secrets, personal, mojibake):
        if list(scanner.find(text)):
            assert scanner.may_have(line)
    assert list(secrets.find(secrets.redact(text))) == []
    assert list(personal.find(personal.redact(text))) == []
    assert list(mojibake.find(mojibake.repair(text))) == []


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN PRIVATE KEY-----" * 20_000,
        "a" * 500_000,
        "a@" * 200_000,
        "1 " * 250_000,
        "+1" * 250_000,
        "eyJ" * 200_000,
        "sk-" * 200_000,
        "secret" * 100_000,
        "password=" * 60_000,
        "4111 " * 100_000,
        "DE89" * 100_000,
        "1.1." * 100_000,
        "://" * 150_000,
        "Ã" * 200_000,
    ],
)
@pytest.mark.timeout(20)
def test_hostile_text_takes_no_long(text):
    for scanner in (secrets, personal):
        list(scanner.find(text))
        list(scanner.suspects(raw(text)))
    list(mojibake.find(text))
    mojibake.may_have(raw(text))
