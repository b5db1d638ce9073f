"""A workspace's credentials at vendors: entered by an admin, sealed at rest, opened where a vendor is asked.

Saving them asks for a harmless call (task `check_credential`), whose outcome is told to the person who saved them.
"""

import time
from collections.abc import Mapping

from sqlmodel import Session, col, select

from providers import credentials as fields
from providers.credentials import Credentials
from providers.errors import NotConfigured
from workers import tasks
from workers.errors import InvalidPlan, NotFound
from workers.queues.connection import QueueName
from workers.rights import Actor, Verb, require
from workers.tables import AuditEntry, Credential, CredentialStatus
from workers.vault import Vault


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

    A secret that is left empty stays what it was. Raises NotAllowed, NotFound, InvalidPlan (problems by field).
    """
    require(session, actor, Verb.ADMINISTER)
    if not fields.needed_by(provider):
        raise NotFound("This provider needs no credentials.")
    row = _row(session, actor.team_id, provider, for_update=True)
    given = {one.name: (values.get(one.name) or "").strip() for one in fields.FIELDS[provider]}
    given = {name: value for name, value in given.items() if value}
    known = vault.open(row.sealed) if row is not None else {}
    secret = {one.name for one in fields.FIELDS[provider] if one.secret}
    merged = {name: value for name, value in known.items() if name in secret} | given
    problems = fields.problems(provider, merged, more_hosts=more_hosts)
    if problems:
        raise InvalidPlan(problems)
    sealed = vault.seal(merged)
    if row is None:
        row = Credential(
            team_id=actor.team_id,
            enterprise_id=actor.enterprise_id,
            creator_id=actor.user_id,
            provider=provider,
            sealed=sealed,
        )
    row.channel_id = actor.channel_id
    row.creator_id = actor.user_id
    row.sealed = sealed
    row.shown = fields.shown(provider, merged)
    row.status, row.problem, row.revision = CredentialStatus.CHECKING, "", row.revision + 1
    session.add(row)
    session.flush()
    _audit(session, actor, "save_credentials", row)
    key = f"check_credential:{row.id}:{row.revision}"
    tasks.add(session, "check_credential", row.id or 0, queue=QueueName.CLOUD, team_id=row.team_id, key=key)
    return row


def forget(session: Session, actor: Actor, provider: str) -> None:
    """Delete them. Runs and endpoints at this provider are then refused. Raises NotAllowed, NotFound."""
    require(session, actor, Verb.ADMINISTER)
    row = _row(session, actor.team_id, provider, for_update=True)
    if row is None:
        raise NotFound("There are no credentials for this provider.")
    _audit(session, actor, "forget_credentials", row)
    session.delete(row)


def of(session: Session, vault: Vault, team_id: str, provider: str) -> Credentials:
    """The workspace's credentials, opened; nothing for a provider that needs none. Raises NotConfigured."""
    if not fields.needed_by(provider):
        return {}
    row = _row(session, team_id, provider)
    if row is None:
        raise NotConfigured(f"There are no credentials for {provider} in this workspace. An admin adds them by "
                            "`/finetune keys`.")  # fmt: skip
    return vault.open(row.sealed)


def usable(session: Session, team_id: str) -> set[str]:
    """The providers that this workspace has credentials for, and that were not refused with them."""
    rows = session.exec(
        select(Credential.provider).where(
            Credential.team_id == team_id, col(Credential.status) != CredentialStatus.REFUSED
        )
    )
    return set(rows)


def listed(session: Session, actor: Actor) -> list[Credential]:
    """Those of the workspace, without their secrets. Raises NotAllowed."""
    require(session, actor, Verb.ADMINISTER)
    return list(
        session.exec(select(Credential).where(Credential.team_id == actor.team_id).order_by(Credential.provider))
    )


def checked(session: Session, credential_id: int, revision: int, *, problem: str = "", words: str = "") -> bool:
    """Note how the harmless call went: `problem` is empty where it worked. False: they were replaced meanwhile."""
    row = session.get(Credential, credential_id, with_for_update=True)
    if row is None or row.revision != revision:
        return False
    row.status = CredentialStatus.REFUSED if problem else CredentialStatus.WORKING
    row.problem, row.words, row.checked_at = problem, words, time.time()
    session.add(row)
    return True


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
