"""What Slack shows of a dataset: its report's place and picture, and what of the report comes first."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import Session, select

from workers import announcements
from workers.dataprep.checks.catalogue import CATALOGUE
from workers.tables import Announcement, Dataset

LEAST_SHOWN = 10
"""Fewer examples need no picture of their lengths."""
SEVERITIES = {"error": 0, "warning": 1}


def files_slot(channel_id: str, message_ts: str) -> str:
    """The slot of the report on the files of one message."""
    return f"files:{channel_id}:{message_ts}"


def card_slot(row: Dataset) -> str:
    """The slot of the report that shows the dataset."""
    return files_slot(row.channel_id, row.message_ts) if row.upload_id else f"dataset:{row.id}:card"


def place(row: Dataset) -> dict[str, Any]:
    """Where what belongs to the dataset is said: the thread of its file, or of its report."""
    if row.thread_ts:
        return {"thread_ts": row.thread_ts}
    return {"thread_slot": files_slot(row.channel_id, row.message_ts)}


def redraw(session: Session, row: Dataset) -> None:
    """Want the dataset's report to show what it is now, or to be posted."""
    data: dict[str, Any] = {"message_ts": row.message_ts} if row.upload_id else {"dataset_id": row.id}
    where = {"thread_ts": row.thread_ts} if row.upload_id else place(row)
    announcements.post(session, owner=row, slot=card_slot(row), kind="dataset_report", data=data, **where)


def show_lengths(session: Session, row: Dataset, check: int = 0) -> None:
    """Want the picture of its examples' lengths under its report, once; for each check of a table another one."""
    tokens = row.report.get("tokens") or {}
    all_alike = tokens.get("min") == tokens.get("max")
    if row.report.get("guessed") or row.examples < LEAST_SHOWN or all_alike or not row.report.get("histogram"):
        return
    slot = f"dataset:{row.id}:lengths:{check}"
    known = select(Announcement.id).where(Announcement.team_id == row.team_id, Announcement.slot == slot)
    if session.exec(known).first() is None:
        announcements.post(session, owner=row, slot=slot, kind="length_histogram", subject_id=row.id, **place(row))


def fixes(row: Dataset) -> dict[str, int]:
    """By check, how many findings a machine can mend; the most first."""
    found = {check: int(count) for check, count in (row.report.get("fixes") or {}).items()}
    mendable = {
        check: count for check, count in found.items() if count > 0 and check in CATALOGUE and CATALOGUE[check].fix
    }
    return dict(sorted(mendable.items(), key=lambda one: (-one[1], one[0])))


def findings_by_check(report: Mapping[str, Any]) -> list[tuple[str, Sequence[Mapping[str, Any]], int]]:
    """(check, its listed findings, its exact count): errors first, then what concerns some examples, then all."""
    by_check: dict[str, list[Mapping[str, Any]]] = {}
    for one in report.get("findings") or []:
        by_check.setdefault(str(one.get("check")), []).append(one)
    counts = {str(check): int(count) for check, count in (report.get("counts") or {}).items()}
    found = [(check, listed, counts.get(check, len(listed))) for check, listed in by_check.items()]
    everywhere = max(2, int(report.get("examples") or 0))

    def rank(one: tuple[str, Sequence[Mapping[str, Any]], int]) -> tuple[int, bool, int, str]:
        check, listed, count = one
        gravest = min(SEVERITIES.get(str(finding.get("severity")), 2) for finding in listed)
        return gravest, count >= everywhere, -count, check

    return sorted(found, key=rank)
