"""What a check found, in lines that are read at a glance: the errors first, one line a kind, with its places."""

from collections.abc import Mapping, Sequence
from typing import Any

from bot import escape
from bot.blocks.elements import Block, context, modal, section
from workers.dataprep.checks.catalogue import CATALOGUE
from workers.dataset_cards import findings_by_check
from workers.tables import Dataset

MARKS = {"error": "🔴", "warning": "🟡", "info": "🔵"}
MOST_PLACES = 5
MOST_KINDS = 5
MOST_LISTED = 40

Finding = Mapping[str, Any]


def summary(report: Mapping[str, Any], most: int = MOST_KINDS) -> str:
    """A line a kind of finding; what is left out is counted. Empty where nothing was found."""
    kinds = findings_by_check(report)
    lines = [kind(check, listed, count, report) for check, listed, count in kinds[:most]]
    left = kinds[most:]
    if left:
        number = sum(count for _, _, count in left)
        lines.append(f"… and {counted(number, 'more finding')} of {counted(len(left), 'more kind')}: see ⋯")
    return "\n".join(lines)


def kind(check: str, listed: Sequence[Finding], count: int, report: Mapping[str, Any]) -> str:
    """One kind of finding: what is wrong, how often, and in which lines first."""
    first = listed[0]
    mark = MARKS.get(str(first.get("severity")), "🔵")
    unit = str(report.get("unit") or "line")
    places = list(dict.fromkeys(int(one["line"]) for one in listed if one.get("line")))[:MOST_PLACES]
    if count == 1:
        words = escape.mrkdwn(_sentence(str(first.get("message") or check)), 300)
        return f"{mark} {f'{unit.capitalize()} {places[0]:,}: ' if places else ''}{words}"
    known = CATALOGUE.get(check)
    words = escape.mrkdwn(_sentence(known.about if known else str(first.get("message") or check)), 300)
    if count == int(report.get("examples") or 0):
        where = " (in every example)"
    elif places:
        more = " …" if count > len(places) else ""
        where = f" ({unit}s {', '.join(f'{one:,}' for one in places)}{more})"
    else:
        where = ""
    return f"{mark} *{count:,}* × {words}{where}"


def everything(dataset: Dataset) -> Block:
    """A window with every kind of finding and the first places of each, with the text around."""
    report = dataset.report
    kinds = findings_by_check(report)
    name = escape.mrkdwn(dataset.name, 120)
    if not kinds:
        return modal("findings", "Findings", [section(f"✅ Nothing was found in *{name}*.")])
    blocks: list[Block] = [section(f"*{name}* v{dataset.version}: {counted(_total(report), 'finding')}")]
    each = max(3, MOST_LISTED // len(kinds))
    for check, listed, count in kinds:
        mark = MARKS.get(str(listed[0].get("severity")), "🔵")
        lines = [_one(one, report) for one in listed[:each]]
        if count > len(lines):
            lines.append(f"… and {count - len(lines):,} more like it")
        known = CATALOGUE.get(check)
        about = f"{known.about} {known.do}" if known else check.replace("_", " ")
        blocks.append(section(f"{mark} *{count:,}* × *{escape.mrkdwn(about, 200)}*"))
        blocks.append(section(escape.cut_escaped("\n".join(lines), 2900)))
    blocks.append(context(f"`finetune-bot check --json {escape.code(dataset.name, 60)}` lists up to 100 of each kind."))
    return modal("findings", "Findings", blocks[:99])


def _one(finding: Finding, report: Mapping[str, Any]) -> str:
    unit = str(report.get("unit") or "line").capitalize()
    where = f"{unit} {int(finding['line']):,}: " if finding.get("line") else ""
    excerpt = str(finding.get("excerpt") or "").strip()
    shown = f"\n      `{escape.code(' '.join(excerpt.split()), 160)}`" if excerpt else ""
    return f"• {where}{escape.mrkdwn(str(finding.get('message')), 300)}{shown}"


def errors(report: Mapping[str, Any]) -> int:
    """How many errors there are."""
    return sum(count for _, listed, count in findings_by_check(report) if listed[0].get("severity") == "error")


def _total(report: Mapping[str, Any]) -> int:
    return sum(int(count) for count in (report.get("counts") or {}).values())


def _sentence(message: str) -> str:
    """Without its full stop, as its places follow."""
    return message.strip().removesuffix(".") if not message.strip().endswith("..") else message.strip()


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 example", "2,000 examples"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
