"""Drawing the announcements about datasets and threads: what each kind looks like now."""

from collections.abc import Callable
from typing import Any

from sqlmodel import Session, select

from bot import escape
from bot.blocks import dataset_list, dataset_report, lengths, thread_import
from bot.blocks.elements import Block, Drawn, context, section
from bot.blocks.findings import counted
from workers import consents, datasets
from workers.dataprep.convert import TARGETS
from workers.plans import offered
from workers.settings import Settings
from workers.storage import Storage
from workers.tables import Announcement, Consent, Dataset, Derivation, ThreadImport, Upload

Renderer = Callable[[Session, Settings, Announcement], Drawn]


def report(session: Session, settings: Settings, row: Dataset, *, elsewhere: bool = False) -> Drawn:
    """The report that shows the dataset. `elsewhere`: for people of another channel, who see none of its neighbours."""
    ranked = offered.of(session, settings, row.team_id, None).ranked
    if row.upload_id and elsewhere:
        return dataset_report.draw([(session.get_one(Upload, row.upload_id), row)], elsewhere=True, ranked=ranked)
    if row.upload_id:
        return _of_files(session, settings, row.team_id, row.channel_id, row.message_ts)
    parent = session.get(Dataset, row.parent_id) if row.parent_id else None
    held_out = datasets.held_out_beside(session, row)
    return dataset_report.draw_version(row, parent, held_out=held_out, elsewhere=elsewhere, ranked=ranked)


def _of_files(session: Session, settings: Settings, team_id: str, channel_id: str, message_ts: str) -> Drawn:
    uploads = session.exec(
        select(Upload)
        .where(Upload.team_id == team_id, Upload.channel_id == channel_id, Upload.message_ts == message_ts)
        .order_by(Upload.id)  # type: ignore[arg-type]
    ).all()
    found = [(one, session.exec(select(Dataset).where(Dataset.upload_id == one.id)).one_or_none()) for one in uploads]
    return dataset_report.draw(found, ranked=offered.of(session, settings, team_id, None).ranked)


def _dataset_report(session: Session, settings: Settings, row: Announcement) -> Drawn:
    if "dataset_id" in row.data:
        return report(session, settings, session.get_one(Dataset, int(row.data["dataset_id"])))
    return _of_files(session, settings, row.team_id, row.channel_id, str(row.data["message_ts"]))


def _lengths(session: Session, _settings: Settings, row: Announcement) -> Drawn:
    dataset = session.get_one(Dataset, row.subject_id)
    version = f" v{dataset.version}" if dataset.version > 1 else ""
    tokens = dataset.report.get("tokens") or {}
    words = f"{escape.plain(dataset.name, 80)}{version}: tokens of an example, {tokens.get('median', 0):,.0f} typically"
    picture = lengths.png(f"{dataset.name}{version}", dataset.report)
    return Drawn(text=words, file_name=f"lengths-{row.id}.png", file=picture)


def _conversion(session: Session, _settings: Settings, row: Announcement) -> Drawn:
    made = session.get_one(Derivation, row.subject_id)
    dataset = session.get_one(Dataset, made.dataset_id)
    outcome: dict[str, Any] = made.outcome
    target = str(made.choice["target"])
    name = f"*{escape.mrkdwn(dataset.name, 100)}* v{dataset.version}"
    line = f"📄 {name} as {target}: {counted(int(outcome['count']), 'example')}, {dataset_report.size(outcome['size'])}"
    blocks: list[Block] = [section(line)]
    lost = [_loss(one) for one in outcome.get("losses") or []]
    if lost:
        blocks.append(section(escape.cut_escaped("What this format could not express:\n" + "\n".join(lost), 2900)))
    else:
        blocks.append(context(f"Nothing was lost. {escape.mrkdwn(TARGETS[target].words if target in TARGETS else '')}"))
    return Drawn(text=line, blocks=blocks)


def _loss(one: dict[str, Any]) -> str:
    lines = [f"{line:,}" for line in one["lines"]]
    more = " …" if one["count"] > len(lines) else ""
    where = f" (lines {', '.join(lines)}{more})" if lines else ""
    return f"🟡 *{one['count']:,}* × {escape.mrkdwn(one['words'], 300)}{where}"


def _conversion_file(session: Session, settings: Settings, row: Announcement) -> Drawn:
    made = session.get_one(Derivation, row.subject_id)
    with Storage(settings.storage).open(made.storage_key) as file:
        content = file.read()
    name = str(made.outcome["file_name"])
    return Drawn(text=name, file_name=name, file=content)


def _comparison(session: Session, _settings: Settings, row: Announcement) -> Drawn:
    made = session.get_one(Derivation, row.subject_id)
    before, after = (session.get_one(Dataset, one) for one in (made.dataset_id, int(made.choice["other"])))
    return dataset_list.comparison(before, after, made.outcome)


def _thread_import(session: Session, _settings: Settings, row: Announcement) -> Drawn:
    wanted = session.get_one(ThreadImport, row.subject_id)
    return thread_import.card(wanted, consents.of(session, wanted))


def _consent(session: Session, _settings: Settings, row: Announcement) -> Drawn:
    consent = session.get_one(Consent, row.subject_id)
    wanted = session.get_one(ThreadImport, consent.import_id)
    return thread_import.question(wanted, consent, str(row.data.get("link") or ""))


RENDERERS: dict[str, Renderer] = {
    "dataset_report": _dataset_report,
    "length_histogram": _lengths,
    "conversion": _conversion,
    "conversion_file": _conversion_file,
    "comparison": _comparison,
    "thread_import": _thread_import,
    "consent": _consent,
}
