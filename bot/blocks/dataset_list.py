"""The datasets that can be used from a channel, one of them, and the question before a deletion."""

from collections.abc import Mapping, Sequence

from bot import escape
from bot.blocks.dataset_report import FORMATS, ROLES, menu, size
from bot.blocks.elements import (
    MOST_MESSAGE,
    Block,
    Drawn,
    actions,
    button,
    characters,
    confirm,
    context,
    fitting,
    overflow,
    section,
)
from bot.blocks.findings import counted
from workers import datasets
from workers.tables import Dataset, Run

MOST = 20


def draw(rows: Sequence[Dataset], channel_id: str) -> Drawn:
    """The newest version of each, the newest first."""
    newest: dict[tuple[str, str], list[Dataset]] = {}
    for row in rows:
        newest.setdefault((row.channel_id, row.name), []).append(row)
    if not newest:
        words = "There is no dataset here yet. Attach a file to a message in this channel, and read its report there."
        return Drawn(text=words, blocks=[section(words)])
    blocks: list[Block] = [section(f"*{counted(len(newest), 'dataset')} can be used here*")]
    for found in list(newest.values())[:MOST]:
        first, older = found[0], len(found) - 1
        earlier = f" · {counted(older, 'earlier version')}" if older else ""
        blocks.append(section(f"{_line(first, channel_id)}{earlier}", accessory=_menu(first)))
    if len(newest) > MOST:
        blocks.append(context(f"… and {len(newest) - MOST} more. `/finetune data show NAME` finds any of them."))
    blocks.append(context("`/finetune data show NAME` · `diff 3 5` · `delete 3` · `add hf:owner/name@revision`"))
    return Drawn(text=f"{counted(len(newest), 'dataset')} can be used here", blocks=blocks)


def _menu(row: Dataset) -> Block:
    return overflow("dataset_menu", menu(row, card=False))


def _line(row: Dataset, channel_id: str) -> str:
    mark = {"ready": "✅", "has errors": "❌"}.get(datasets.status(row), "❓")
    first = f"{mark} *{escape.mrkdwn(row.name, 100)}* v{row.version} (dataset {row.id})"
    parts = [counted(row.examples, "example"), size(row.size), datasets.status(row), who(row, channel_id)]
    return f"{first}\n{' · '.join(parts)}"


def who(row: Dataset, channel_id: str) -> str:
    """Who may use it."""
    there = f"<#{row.channel_id}>" if row.channel_id else "its owner"
    where = "this channel" if row.channel_id == channel_id else there
    return "for the whole workspace" if row.shared else f"for {where}"


def show(
    row: Dataset,
    versions: Sequence[Dataset],
    runs: Sequence[Run],
    report: Drawn,
    channel_id: str,
    *,
    elsewhere: int = 0,
) -> Drawn:
    """One dataset: its report, its versions and the runs that used it; so many of them `elsewhere` are only counted."""
    parts = [
        f"Dataset {row.id}", f"v{row.version}", size(row.size), FORMATS.get(row.format, row.format), ROLES[row.role],
        who(row, channel_id), f"by <@{row.creator_id}>", f"sha256 `{row.sha256[:12]}…`",
    ]  # fmt: skip
    facts = [" · ".join(parts)]
    others = [f"v{one.version} (dataset {one.id})" for one in versions if one.id != row.id][:8]
    if others:
        compare = next(one.id for one in versions if one.id != row.id)
        facts.append(f"Other versions: {', '.join(others)}. Compare: `/finetune data diff {compare} {row.id}`")
    used = [f"{escape.mrkdwn(run.name, 40)} (run {run.id})" for run in runs[:8]]
    if elsewhere:
        used.append(f"{'and ' if used else ''}{counted(elsewhere, 'run')} elsewhere")
    if used:
        facts.append(f"Used by {', '.join(used)}")
    below: list[Block] = [context(one) for one in facts]
    most = MOST_MESSAGE - characters(below)
    above = fitting(report.blocks[:45], "… the rest of its report does not fit into this message.", most=most)
    return Drawn(text=report.text, blocks=[*above, *below])


def ask_deletion(row: Dataset) -> Drawn:
    """Whether it is really to be deleted."""
    name = escape.mrkdwn(row.name, 100)
    words = f"Delete *{name}* v{row.version} ({counted(row.examples, 'example')})? It cannot be undone."
    question = confirm("Delete this dataset?", "Its files leave our storage for good.", "Delete", "Keep it")
    buttons = actions(button("Delete it", "delete_dataset", str(row.id), style="danger", confirm=question))
    hint = context("Runs that have used it keep their history and their models. The file in Slack itself stays.")
    return Drawn(text=f"Delete {name} v{row.version}?", blocks=[section(words), buttons, hint])


def comparison(before: Dataset, after: Dataset, outcome: Mapping[str, object]) -> Drawn:
    """What differs between two datasets."""
    from bot.blocks.dataset_forms import differences

    names = [f"*{escape.mrkdwn(one.name, 80)}* v{one.version}" for one in (before, after)]
    counts = {key: int(str(outcome.get(key) or 0)) for key in ("added", "removed", "changed", "same")}
    title = f"{names[0]} → {names[1]}"
    if not any(counts[key] for key in ("added", "removed", "changed")):
        return Drawn(text="Both have the same examples.", blocks=[section(f"{title}\n✅ The same examples in both.")])
    line = " · ".join(
        (
            f"➕ {counted(counts['added'], 'example')} added",
            f"➖ {counts['removed']:,} removed",
            f"✏️ {counts['changed']:,} with another answer",
            f"{counts['same']:,} unchanged",
        )
    )
    first = outcome.get("differences")
    blocks = [section(f"{title}\n{line}"), *differences(first if isinstance(first, list) else [], most=6)]
    text = f"{counts['added']:,} added, {counts['removed']:,} removed, {counts['changed']:,} changed"
    return Drawn(text=text, blocks=fitting(blocks, "… more examples do not fit into this message."))
