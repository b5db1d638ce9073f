"""A workspace's credentials at vendors: entered by an admin, sealed at rest, opened where a vendor is asked.

Saving them asks for a harmless call (task `check_credential`), whose outcome is told to the person who saved them.
People call them vendor credentials: the API keys of an endpoint are something else (`workers.keys`).
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from providers import credentials as fields
from providers.credentials import Credentials
from providers.errors import NotConfigured
from providers.prices import vendor
from workers import credential_use, tasks
from workers.db import Database
from workers.errors import InvalidPlan, NotAllowed, NotFound, SetupProblem, UserError
from workers.queues.connection import QueueName
from workers.rights import Actor, Verb, allowed, require
from workers.tables import AuditEntry, Credential, CredentialStatus
from workers.vault import Vault

log = structlog.get_logger()

BELONGS_TO: Mapping[str, tuple[str, ...]] = {"api_key": ("endpoint",), "client_secret": ("tenant_id", "client_id")}
"""A secret that is not entered again is kept only for the address, or the identity, that it was entered for."""


@dataclass(frozen=True)
class Known:
    """What is there already: the values that may be shown again, and the names of the secrets that are kept."""

    shown: Mapping[str, str]
    kept: frozenset[str]


@dataclass(frozen=True)
class Rotated:
    """What a rotation of the vault's keys has done. `closed` are the rows that no key opens, as (team, provider)."""

    resealed: int
    closed: tuple[tuple[str, str], ...]


def save(
    session: Session,
    vault: Vault,
    actor: Actor,
    provider: str,
    values: Mapping[str, str],
    *,
    more_hosts: tuple[str, ...] = (),
) -> Credential:
    """Keep the workspace's credentials for a provider in place of earlier ones, and ask for their check.

    A secret that is left empty stays what it was, unless what it belongs to has changed. They must not reach another
    place while models are hosted at the one before. Raises NotAllowed, NotFound, InvalidPlan (problems by field),
    UserError.
    """
    _may(session, actor, provider)
    row = _row(session, actor.team_id, provider, for_update=True)
    given = {one.name: (values.get(one.name) or "").strip() for one in fields.FIELDS[provider]}
    given = {name: value for name, value in given.items() if value}
    merged = _kept(provider, _opened(vault, row), given) | given
    problems = fields.problems(provider, merged, more_hosts=more_hosts)
    if problems:
        raise InvalidPlan(problems)
    if row is not None:
        credential_use.refuse_to_move(session, actor.team_id, provider, row.shown, merged)
    sealed = vault.seal(merged)
    if row is None:
        row = Credential(
            team_id=actor.team_id,
            enterprise_id=actor.enterprise_id,
            creator_id=actor.user_id,
            provider=provider,
            sealed=sealed,
            revision=secrets.randbelow(2**30),  # the row may get the id of one that was forgotten
        )
    row.sealed = sealed
    row.shown = fields.shown(provider, merged)
    try:
        with session.begin_nested():
            _ask_for_check(session, actor, row)
    except IntegrityError as error:  # on PostgreSQL somebody else's first ones were committed meanwhile
        raise UserError(
            "Somebody else has just saved credentials for this vendor. Type /finetune keys again."
        ) from error
    _audit(session, actor, "save_credentials", row)
    return row


def recheck(session: Session, actor: Actor, provider: str) -> Credential:
    """Ask for the harmless call once more; whoever asks is told. Raises NotAllowed, NotFound."""
    row = _existing(session, actor, provider)
    if row.status is not CredentialStatus.CHECKING:
        _ask_for_check(session, actor, row)
    return row


def forget(session: Session, actor: Actor, provider: str) -> None:
    """Delete them. Runs and endpoints at this provider are then refused.

    Raises NotAllowed, NotFound, and UserError while something is hosted that nobody could delete without them.
    """
    row = _existing(session, actor, provider)
    credential_use.refuse_to_forget(session, actor.team_id, provider)
    _audit(session, actor, "forget_credentials", row)
    session.delete(row)


def known(session: Session, vault: Vault, actor: Actor, provider: str) -> Known:
    """What a form may start with. Raises NotAllowed, NotFound."""
    _may(session, actor, provider)
    row = _row(session, actor.team_id, provider)
    hidden = {one.name for one in fields.FIELDS[provider] if one.secret}
    return Known(row.shown if row is not None else {}, frozenset(hidden & set(_opened(vault, row))))


def of(session: Session, vault: Vault, team_id: str, provider: str) -> Credentials:
    """The workspace's credentials, opened; nothing for a provider that needs none.

    Raises NotConfigured, also where no key of this installation opens them.
    """
    if not fields.needed_by(provider):
        return {}
    row = _row(session, team_id, provider)
    if row is None:
        name = vendor(provider).text
        raise NotConfigured(
            f"There are no credentials for {name} in this workspace. An admin adds them by /finetune keys."
        )
    try:
        return vault.open(row.sealed)
    except SetupProblem as problem:
        raise NotConfigured(str(problem)) from problem


def usable(session: Session, team_id: str) -> set[str]:
    """The providers that this workspace has credentials for, and that were not refused with them."""
    rows = session.exec(
        select(Credential.provider).where(
            Credential.team_id == team_id, col(Credential.status) != CredentialStatus.REFUSED
        )
    )
    return set(rows)


def unconfirmed(session: Session, team_id: str) -> set[str]:
    """The providers whose credentials were saved but not tried yet, as nobody could be asked."""
    untried = col(Credential.status).in_([CredentialStatus.CHECKING, CredentialStatus.UNREACHED])
    return set(session.exec(select(Credential.provider).where(Credential.team_id == team_id, untried)))


def listed(session: Session, actor: Actor) -> list[Credential]:
    """Those of the workspace, without their secrets. Raises NotAllowed."""
    _may(session, actor)
    return list(
        session.exec(select(Credential).where(Credential.team_id == actor.team_id).order_by(Credential.provider))
    )


def checked(
    session: Session,
    credential_id: int,
    revision: int,
    *,
    problem: str = "",
    words: str = "",
    status: CredentialStatus | None = None,
) -> Credential | None:
    """Note how the harmless call went: `problem` is empty where it worked, and else a refusal unless `status` is given.

    None: they were replaced or forgotten meanwhile, or another call was first.
    """
    row = session.get(Credential, credential_id, with_for_update=True)
    if row is None or row.revision != revision or row.status is not CredentialStatus.CHECKING:
        return None
    row.status = status or (CredentialStatus.REFUSED if problem else CredentialStatus.WORKING)
    row.problem, row.words, row.checked_at = problem, words, time.time()
    session.add(row)
    return row


def rotate(db: Database, vault: Vault) -> Rotated:
    """Put a new key into the vault and seal everything with it, in one go; what no key opens stays as it is.

    Repeated after a crash it does the whole again. Raises SetupProblem.
    """
    closed: list[tuple[str, str]] = []
    with vault.rotation(), db.write() as session:
        rows = session.exec(select(Credential).order_by(col(Credential.id)).with_for_update()).all()
        for row in rows:
            try:
                row.sealed = vault.reseal(row.sealed)
            except SetupProblem:
                closed.append((row.team_id, row.provider))
            session.add(row)
    return Rotated(len(rows) - len(closed), tuple(closed))


def _may(session: Session, actor: Actor, provider: str = "") -> None:
    """Raise NotAllowed, with who may, unless the actor is an admin; NotFound for what needs no credentials."""
    require(session, actor, Verb.VIEW)
    if not allowed(session, actor, Verb.ADMINISTER):
        raise NotAllowed(
            "Only an admin of Finetune Bot may see or change vendor credentials. Whoever runs it makes somebody an "
            f"admin by naming their Slack user id (yours is {actor.user_id}) in FINETUNE_BOT_ADMINS."
        )
    if provider and not fields.needed_by(provider):
        raise NotFound("This provider needs no credentials.")


def _existing(session: Session, actor: Actor, provider: str) -> Credential:
    _may(session, actor, provider)
    row = _row(session, actor.team_id, provider, for_update=True)
    if row is None:
        raise NotFound("There are no credentials for this vendor any more. Type /finetune keys to add some.")
    return row


def _opened(vault: Vault, row: Credential | None) -> Credentials:
    """What is sealed in it; nothing where no key opens it, so that it can be entered anew."""
    if row is None:
        return {}
    try:
        return vault.open(row.sealed)
    except SetupProblem:
        log.warning("credentials_closed", provider=row.provider, team_id=row.team_id)
        return {}


def _kept(provider: str, before: Credentials, given: Credentials) -> dict[str, str]:
    """The secrets of before that go with what is given now."""
    return {
        one.name: before[one.name]
        for one in fields.FIELDS[provider]
        if one.secret
        and one.name in before
        and all(before.get(name) == given.get(name) for name in BELONGS_TO.get(one.name, ()))
    }


def _ask_for_check(session: Session, actor: Actor, row: Credential) -> None:
    """The actor, in the channel that they ask from, is who will be told."""
    row.channel_id, row.creator_id = actor.channel_id, actor.user_id
    row.status, row.problem, row.revision = CredentialStatus.CHECKING, "", row.revision + 1
    session.add(row)
    session.flush()
    key = f"check_credential:{row.id}:{row.revision}"
    tasks.add(session, "check_credential", row.id or 0, queue=QueueName.CLOUD, team_id=row.team_id, key=key)


def _row(session: Session, team_id: str, provider: str, *, for_update: bool = False) -> Credential | None:
    wanted = select(Credential).where(Credential.team_id == team_id, Credential.provider == provider)
    return session.exec(wanted.with_for_update() if for_update else wanted).one_or_none()


def _audit(session: Session, actor: Actor, verb: str, row: Credential) -> None:
    session.add(
        AuditEntry(
            team_id=actor.team_id,
            enterprise_id=actor.enterprise_id,
            channel_id=actor.channel_id,
            creator_id=actor.user_id,
            verb=verb,
            object_kind="credential",
            object_id=row.id,
            detail={"provider": row.provider},
        )
    )
