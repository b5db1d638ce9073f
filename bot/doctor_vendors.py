"""What `finetune-bot doctor` says of the vendors: what is installed, whose credentials there are, what is dated.

Nothing secret is printed. The vendors themselves are asked only where that is wished.
"""

import importlib.metadata
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from bot.doctor import Line
from providers import prices, retirements
from providers.credentials import FIELDS
from providers.prices import vendor
from providers.registry import build as build_providers
from providers.settings import ProviderSettings
from workers.clock import today
from workers.context import Context
from workers.db import Database
from workers.errors import SetupProblem
from workers.jobs.credentials import CheckBroke, ask
from workers.settings import Settings
from workers.storage import Storage
from workers.tables import Credential, CredentialStatus

AZURE = ("azure-ai-ml", "azure-identity", "azure-mgmt-cognitiveservices")
"""The packages of the extra `azure`."""
NEEDS_AZURE = {
    "azure_openai": "to sign in by Entra, and to deploy",
    "azure_ml": "for everything there",
}
"""What a vendor needs them for."""
ROLES = {
    "azure_openai": "role of the app registration, to deploy: Cognitive Services OpenAI Contributor",
    "azure_ml": "roles of the app registration: AzureML Data Scientist and Azure AI Developer",
}
STATES = {
    CredentialStatus.WORKING: "working",
    CredentialStatus.CHECKING: "being checked",
    CredentialStatus.UNREACHED: "could not be checked",
    CredentialStatus.REFUSED: "refused",
}
ASK_SECONDS, ASK_ALL_SECONDS = 10.0, 60.0
"""How long one vendor may take to answer, and all of them together."""
OLD_PRICES = timedelta(days=120)
SOON = timedelta(days=60)
HOW_TO_ADD = "an admin adds them in Slack: /finetune keys"


def examine(settings: Settings, *, wanting_answers: bool) -> Iterator[Line]:
    """Look at every vendor, one line each, and at the dates; `wanting_answers` asks them, for a minute at most."""
    context = _context(settings)
    try:
        rows, problem = _rows(context), ""
    except SQLAlchemyError as error:
        rows, problem = [], f"credentials cannot be read ({type(error).__name__})"
    try:
        for provider in FIELDS:
            yield _vendor(provider, [one for one in rows if one.provider == provider], problem)
        if rows:
            yield _vault(context, rows)
        if wanting_answers and rows:
            yield from _answers(context, rows)
        elif wanting_answers:
            yield Line("Answers", True, f"there is nobody to ask: no vendor is set up ({HOW_TO_ADD})", needed=False)
    finally:
        context.db.dispose()
    yield _prices(today(settings))
    yield from _endings(today(settings))


def _context(settings: Settings) -> Context:
    """What is needed to ask; it makes nothing in the home."""
    return Context(
        settings, Database(settings.database), Storage(settings.storage), build_providers(ProviderSettings())
    )


def _rows(context: Context) -> list[Credential]:
    """Every workspace's credentials. Raises SQLAlchemyError."""
    if not context.settings.database_url and not (context.settings.folder / "finetune-bot.db").exists():
        return []
    with context.db.read() as session:
        return list(session.exec(select(Credential).order_by(col(Credential.provider), col(Credential.team_id))))


def _vendor(provider: str, rows: Sequence[Credential], problem: str) -> Line:
    name, role = vendor(provider).text, f"; {ROLES[provider]}" if provider in ROLES else ""
    missing = [one for one in AZURE if not _is_installed(one)] if provider in NEEDS_AZURE else []
    states = Counter(row.status for row in rows)
    counted = ", ".join(f"{number} {STATES[status]}" for status, number in sorted(states.items()))
    workspaces = f"{len(rows)} workspace{'s' if len(rows) > 1 else ''} with credentials: {counted}"
    found = problem or (workspaces if rows else f"not set up ({HOW_TO_ADD})")
    if missing:
        found += f"; missing {', '.join(missing)}, {NEEDS_AZURE[provider]}"
        return Line(name, False, found + role, "Run: make azure", needed=False)
    refused = states[CredentialStatus.REFUSED] > 0
    mend = "An admin sees why in Slack: /finetune keys" if refused else ""
    return Line(name, not refused and not problem, found + role, mend, needed=False)


def _is_installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _vault(context: Context, rows: Sequence[Credential]) -> Line:
    """Whether the keys that are here open what is stored."""
    closed = []
    try:
        where = context.vault.found()
        for row in rows:
            try:
                context.vault.open(row.sealed)
            except SetupProblem:
                closed.append(f"{vendor(row.provider).text} of {row.team_id}")
    except SetupProblem as problem:
        return Line("Vault", False, str(problem), "Credentials cannot be opened without it.")
    if closed:
        mend = "Bring its key back, or let an admin enter them again in Slack: /finetune keys"
        return Line("Vault", False, f"{where}; none of them opens {', '.join(closed)}", mend)
    return Line("Vault", True, f"{where}; what is stored can be opened")


def _answers(context: Context, rows: Sequence[Credential]) -> Iterator[Line]:
    """The harmless call for each workspace."""
    until = time.monotonic() + ASK_ALL_SECONDS
    for row in rows:
        what = f"{vendor(row.provider).text} of workspace {row.team_id}"
        left = until - time.monotonic()
        if left < 1.0:
            yield Line(what, False, "not asked: the others took too long", "Ask again in a while.", needed=False)
            continue
        try:
            outcome = ask(context, row.team_id, row.provider, seconds=min(left, ASK_SECONDS))
        except CheckBroke:
            yield Line(what, False, "the question broke, which is a fault of Finetune Bot", needed=False)
            continue
        mend = (
            "Check the network, and ask again." if outcome.is_passing else "An admin mends it in Slack: /finetune keys"
        )
        yield Line(what, not outcome.problem, outcome.problem or f"answers: {outcome.words}", mend, needed=False)


def _prices(day: date) -> Line:
    """How old the price list is, by vendor."""
    newest: dict[str, date] = {}
    for price in prices.prices():
        if price.provider in FIELDS:
            newest[price.provider] = max(price.as_of, newest.get(price.provider, price.as_of))
    told = ", ".join(f"{vendor(one).text} of {retirements.in_words(at)}" for one, at in newest.items())
    is_old = any(day - at > OLD_PRICES for at in newest.values())
    old = f" (some are over {OLD_PRICES.days} days old)" if is_old else ""
    mend = "Compare providers/prices.json with the vendors' pages, or update Finetune Bot."
    return Line("Price list", not is_old, told + old, mend, needed=False)


def _endings(day: date) -> Iterator[Line]:
    """What vendors have ended for some, and what they end soon."""
    told: dict[tuple[str, str, str], set[str]] = {}
    known: dict[str, set[str]] = {}
    for price in prices.prices():
        known.setdefault(price.provider, set()).add(price.model)
        for notice in retirements.notices(price.provider, price.model, day):
            in_force = notice.on < day and notice.what == retirements.TRAINING
            if in_force or day <= notice.on <= day + SOON:
                head = "Known of" if in_force else "Soon over at"
                told.setdefault((head, price.provider, notice.words), set()).add(price.model)
    for (head, provider, words), models in sorted(told.items()):
        named = "" if models == known[provider] else f"{', '.join(sorted(models))}: "
        said = words.replace("This model", "each", 1) if named and len(models) > 1 else words
        yield Line(f"{head} {vendor(provider).text}", False, f"{named}{said}", needed=False)
