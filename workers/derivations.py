"""What somebody wants made out of a dataset: its next version, another format, what differs from another one."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlmodel import Session, select

from workers import tasks
from workers.dataset_cards import fixes
from workers.datasets import audit, get, is_home, must_be_home
from workers.errors import UserError
from workers.rights import Actor, Verb
from workers.tables import Dataset, Derivation, DerivationKind

TASKS = {
    DerivationKind.FIXES: "fix_dataset",
    DerivationKind.CONVERSION: "convert_dataset",
    DerivationKind.COMPARISON: "compare_datasets",
}


def apply_fixes(session: Session, actor: Actor, dataset_id: int, checks: Iterable[str], key: str) -> Derivation:
    """Ask for the next version with what these checks found mended. Raises NotFound, UserError."""
    row = get(session, actor, dataset_id, verb=Verb.ATTACH)
    must_be_home(actor, row)
    fixable = fixes(row)
    wanted = [check for check in checks if check in fixable]
    if not wanted:
        raise UserError("Choose at least one thing to mend.")
    return _ask(session, actor, row, DerivationKind.FIXES, {"checks": wanted}, key)


def convert(session: Session, actor: Actor, dataset_id: int, target: str, key: str) -> Derivation:
    """Ask for its examples as a file in another format; it comes to where it is asked for. Raises NotFound."""
    row = get(session, actor, dataset_id)
    there = {} if is_home(actor, row) else {"channel": actor.channel_id}
    return _ask(session, actor, row, DerivationKind.CONVERSION, {"target": target, **there}, key)


def compare(session: Session, actor: Actor, before_id: int, after_id: int, key: str) -> Derivation:
    """Ask for what differs between two datasets, told to the person alone. Raises NotFound, UserError."""
    before, after = get(session, actor, before_id), get(session, actor, after_id)
    if before.id == after.id:
        raise UserError("That is the same dataset twice. Name two, as in: /finetune data diff 3 5")
    choice = {"other": after.id, "channel": actor.channel_id}
    return _ask(session, actor, before, DerivationKind.COMPARISON, choice, key)


def _ask(
    session: Session, actor: Actor, row: Dataset, kind: DerivationKind, choice: Mapping[str, Any], key: str
) -> Derivation:
    known = session.exec(select(Derivation).where(Derivation.request_key == key)).one_or_none()
    if known is not None:
        return known
    made = Derivation(
        team_id=row.team_id,
        enterprise_id=row.enterprise_id,
        channel_id=row.channel_id,
        creator_id=actor.user_id,
        dataset_id=row.id or 0,
        kind=kind,
        request_key=key,
        choice=dict(choice),
    )
    session.add(made)
    session.flush()
    tasks.add(session, TASKS[kind], made.id or 0, queue="cpu", team_id=row.team_id)
    audit(session, actor, str(kind), row, choice)
    return made
