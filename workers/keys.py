"""API keys: how programs reach an endpoint over HTTP.

A key's secret is shown once, to the person who made it; the database has its digest and its first characters.
"""

import hashlib
import secrets
import time
from dataclasses import dataclass, field

from sqlalchemy import or_, update
from sqlmodel import Session, col, select

from workers.db import epoch_now
from workers.errors import NotFound
from workers.rights import Actor, Verb, allowed, require
from workers.tables import ApiKey, AuditEntry, Endpoint, EndpointStatus

MARK = "ftb-"
"""Every secret begins so; the logs' redaction knows it too."""
SECRET_BYTES = 32
PREFIX_LENGTH = len(MARK) + 5
"""So much of a secret is kept readable, for telling keys apart."""
LONGEST_SECRET = 200
USE_SECONDS = 60.0
"""`last_used_at` is as exact as this."""


@dataclass(frozen=True)
class NewKey:
    """A key at the only moment when its secret is known."""

    id: int
    prefix: str
    secret: str = field(repr=False)


def create(session: Session, actor: Actor, endpoint: Endpoint) -> NewKey:
    """Make a key to the endpoint. Raises NotAllowed, or NotFound where the endpoint does not answer any more."""
    require(session, actor, Verb.CREATE_KEY, endpoint)
    if endpoint.status is EndpointStatus.DELETED:
        raise NotFound(f"{endpoint.name} does not answer any more, so it gets no new keys.")
    secret = MARK + secrets.token_urlsafe(SECRET_BYTES)
    key = ApiKey(
        team_id=endpoint.team_id,
        enterprise_id=endpoint.enterprise_id,
        channel_id=endpoint.channel_id,
        creator_id=actor.user_id,
        endpoint_id=endpoint.id or 0,
        prefix=secret[:PREFIX_LENGTH],
        digest=_digest(secret),
    )
    session.add(key)
    session.flush()
    _audit(session, actor, "create_key", key)
    return NewKey(key.id or 0, key.prefix, secret)


def verify(session: Session, secret: str) -> tuple[ApiKey, Endpoint] | None:
    """The key of this secret and its endpoint, which may be asleep. None: unknown, revoked, or its endpoint is deleted.

    Whatever the reason, the cost is one digest and one query, and what is compared is the digest, not the secret.
    """
    return session.exec(
        select(ApiKey, Endpoint)
        .join(Endpoint, col(Endpoint.id) == col(ApiKey.endpoint_id))
        .where(
            ApiKey.digest == _digest(secret[:LONGEST_SECRET]),
            col(ApiKey.revoked_at).is_(None),
            Endpoint.status != EndpointStatus.DELETED,
        )
    ).one_or_none()


def note_use(session: Session, key_id: int) -> None:
    """Remember that the key was used now, unless it was noted within the last minute."""
    session.execute(
        update(ApiKey)
        .where(
            col(ApiKey.id) == key_id,
            or_(col(ApiKey.last_used_at).is_(None), col(ApiKey.last_used_at) < epoch_now() - USE_SECONDS),
        )
        .values(last_used_at=epoch_now())
        .execution_options(synchronize_session=False)
    )


def revoke(session: Session, actor: Actor, key_id: int) -> ApiKey:
    """Take a key back, for good; it answers nobody from the next request on. Harmless to repeat.

    Raises NotFound for a key that the person cannot see, NotAllowed for somebody else's.
    """
    key = session.get(ApiKey, key_id, with_for_update=True)
    if key is None or not allowed(session, actor, Verb.VIEW, key):
        raise NotFound("There is no such API key here.")
    require(session, actor, Verb.REVOKE_KEY, key)
    if key.revoked_at is None:
        key.revoked_at = time.time()
        session.add(key)
        _audit(session, actor, "revoke_key", key)
    return key


def listed(session: Session, endpoint: Endpoint, *, creator_id: str = "") -> list[ApiKey]:
    """The endpoint's keys (of one person) that still open it, the newest first."""
    wanted = select(ApiKey).where(ApiKey.endpoint_id == endpoint.id, col(ApiKey.revoked_at).is_(None))
    if creator_id:
        wanted = wanted.where(ApiKey.creator_id == creator_id)
    return list(session.exec(wanted.order_by(col(ApiKey.id).desc())))


def _digest(secret: str) -> str:
    """A plain digest is enough: the secret has 256 random bits, so there is nothing to guess."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _audit(session: Session, actor: Actor, verb: str, key: ApiKey) -> None:
    session.add(
        AuditEntry(
            team_id=actor.team_id,
            enterprise_id=actor.enterprise_id,
            channel_id=key.channel_id,
            creator_id=actor.user_id,
            verb=verb,
            object_kind="api_key",
            object_id=key.id,
            detail={"endpoint_id": key.endpoint_id, "prefix": key.prefix},
        )
    )
