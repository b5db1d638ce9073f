"""The forms about a dataset: which column is what, what to mend, which format to download, a file to test on."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bot import escape
from bot.blocks import examples
from bot.blocks.elements import (
    Block,
    checkboxes,
    context,
    divider,
    field_block,
    modal,
    option,
    section,
    select,
)
from bot.blocks.findings import counted
from workers.dataprep.checks.catalogue import CATALOGUE, Fix
from workers.dataset_cards import fixes
from workers.tables import Dataset

NONE = "none"
PARTS = (
    ("prompt", "What the model is asked (prompt)"),
    ("answer", "What it should answer"),
    ("system", "What it is told about its task (system)"),
)
"""The parts of an example that a column can be, and how a form asks for each."""
MOST_DIFFERING = 900
"""Characters of an example before or after."""
OPTIONAL = {"prompt": "(none: the answers are plain text)", "system": "(none)"}


def _carried(dataset: Dataset, channel_id: str) -> str:
    thread_ts = (
        dataset.thread_ts if dataset.channel_id == channel_id else ""
    )  # a thread of another channel is none here
    return json.dumps({"channel": channel_id, "dataset": dataset.id, "thread": thread_ts})


def opened(view: Mapping[str, Any]) -> tuple[str, int]:
    """The channel and the dataset that a form of ours is about."""
    data = json.loads(view.get("private_metadata") or "{}")
    return str(data.get("channel") or ""), int(data.get("dataset") or 0)


def thread(view: Mapping[str, Any]) -> str:
    """The thread of the dataset's report; empty if it stands in the channel, or in another one."""
    return str(json.loads(view.get("private_metadata") or "{}").get("thread") or "")


# which column is what


def columns(dataset: Dataset, channel_id: str, chosen: Mapping[str, str], shown: Sequence[Mapping[str, Any]]) -> Block:
    """The form around `chosen` (a column by part), with `shown` examples as it makes them."""
    names = [str(one) for one in (dataset.report.get("table") or {}).get("columns") or []]
    options = [option(escape.plain(name, 75), str(place)) for place, name in enumerate(names)]
    blocks: list[Block] = [section(f"*{escape.mrkdwn(dataset.name, 120)}* · {counted(dataset.examples, 'example')}")]
    for part, label in PARTS:
        choices = [option(OPTIONAL[part], NONE), *options][:100] if part in OPTIONAL else options
        place = names.index(chosen[part]) if chosen.get(part) in names else NONE
        menu = select("choose_column", choices, str(place))
        blocks.append(field_block(part, label, menu, optional=part in OPTIONAL, dispatch=True))
    blocks += [divider(), section("*As it would be trained:*"), *examples.draw(shown)]
    return modal(
        "columns_form", "Choose columns", blocks, submit="Check again", close="Not now",
        metadata=_carried(dataset, channel_id),
    )  # fmt: skip


def chosen_columns(values: Mapping[str, Any]) -> dict[str, int]:
    """What is chosen in the form: a column's place by part."""
    chosen = {}
    for part, _ in PARTS:
        for state in (values.get(part) or {}).values():
            picked = (state.get("selected_option") or {}).get("value")
            if picked and picked != NONE:
                chosen[part] = int(picked)
    return chosen


# what to mend


def mend(dataset: Dataset, channel_id: str) -> Block:
    """What can be mended, with counts, everything chosen."""
    options = [_fix(check, count) for check, count in list(fixes(dataset).items())[:20]]
    blocks: list[Block] = [
        section(
            f"*{escape.mrkdwn(dataset.name, 120)}* v{dataset.version} stays as it is. "
            "A new version is made with what you choose here, and checked again."
        ),
        field_block("checks", "What to mend", checkboxes("value", options[:10]), optional=len(options) > 10),
    ]
    if options[10:]:
        blocks.append(field_block("more_checks", "And", checkboxes("value", options[10:]), optional=True))
    blocks.append(context("The new version's report shows what was changed, example by example."))
    return modal(
        "fixes_form", "Apply fixes", blocks, submit="Make new version", close="Not now",
        metadata=_carried(dataset, channel_id),
    )  # fmt: skip


FIXES = {
    Fix.DROP: "leave the example out",
    Fix.TRIM: "cut off what does not belong",
    Fix.JOIN: "make one message of them",
    Fix.REORDER: "put the messages in order",
    Fix.REDACT: "put [removed: …] in its place",
    Fix.RE_ENCODE: "turn the letters back",
    Fix.DEDUPE: "keep the first, leave out the others",
}
"""What each fix does, in words."""


def _fix(check: str, count: int) -> Block:
    known = CATALOGUE[check]
    text = f"{count:,} × {known.about.removesuffix('.')}"
    return option(escape.plain(text, 75), check, FIXES[known.fix] if known.fix else "")


def chosen_checks(values: Mapping[str, Any]) -> list[str]:
    """The checks that are chosen in the form."""
    return [
        str(one["value"])
        for block in values.values()
        for state in block.values()
        for one in state.get("selected_options") or []
    ]


def changes(dataset: Dataset, parent: Dataset | None, *, with_examples: bool = True) -> Block:
    """A window with what was done to make this version, and the first examples before and after."""
    done = dataset.changes
    before = f" from v{parent.version}" if parent else ""
    parts = [
        counted(int(done.get("kept") or 0), "example") + " kept",
        f"{int(done.get('changed') or 0):,} of them changed",
        f"{int(done.get('dropped') or 0):,} removed",
    ]
    title = f"*{escape.mrkdwn(dataset.name, 120)}* v{dataset.version}{before}"
    blocks: list[Block] = [section(f"{title}: {', '.join(parts)}")]
    by_check = "\n".join(
        f"• {escape.mrkdwn(str(check).replace('_', ' '), 80)}: {int(count):,}"
        for check, count in (done.get("by_check") or {}).items()
    )
    if by_check:
        blocks.append(section(by_check))
    blocks += differences(done.get("diff") or []) if with_examples else []
    return modal("changes", "Differences", blocks[:99])


def differences(found: Sequence[Mapping[str, Any]], most: int = 15) -> list[Block]:
    """Examples before and after, the first ones."""
    blocks: list[Block] = []
    for one in list(found)[:most]:
        place = f"Line {int(one['line']):,}" if one.get("line") else "An example"
        before, after = (str(one.get(side) or "") for side in ("before", "after"))
        what = "was removed" if not after else "is new" if not before else "was changed"
        lines = [f"*{place}* {what}"]
        if before and after:
            before, after = _around_the_change(before, after)
        lines += [f"```- {escape.code(before, MOST_DIFFERING)}```"] if before else []
        lines += [f"```+ {escape.code(after, MOST_DIFFERING)}```"] if after else []
        blocks.append(section("\n".join(lines)))
    return blocks


def _around_the_change(before: str, after: str, most: int = 400) -> tuple[str, str]:
    """Both texts from a little before the first difference on."""
    same = next((place for place, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), 0)
    start = max(0, same - 80)
    lead = "…" if start else ""
    return f"{lead}{escape.cut(before[start:], most)}", f"{lead}{escape.cut(after[start:], most)}"


# which format


def conversion(dataset: Dataset, channel_id: str, targets: Sequence[tuple[str, str]]) -> Block:
    """The formats that it can be written in: (id, description)."""
    options = [option(escape.plain(target, 75), target, escape.plain(words, 75)) for target, words in targets]
    place = "the report's thread" if dataset.channel_id == channel_id else "this channel"
    blocks = [
        section(f"*{escape.mrkdwn(dataset.name, 120)}* v{dataset.version} · {counted(dataset.examples, 'example')}"),
        field_block("target", "Write it as", select("value", options, dataset.format)),
        context(f"The file comes into {place}. What the format cannot express is said there, line by line."),
    ]
    return modal(
        "convert_form", "Download converted", blocks, submit="Write the file", close="Not now",
        metadata=_carried(dataset, channel_id),
    )  # fmt: skip


def chosen_target(values: Mapping[str, Any]) -> str:
    """The format that is chosen in the form."""
    state = (values.get("target") or {}).get("value") or {}
    return str((state.get("selected_option") or {}).get("value") or "")


# a file to test on


def test_file(dataset: Dataset, channel_id: str) -> Block:
    """A form that takes a file to test on."""
    element = {"type": "file_input", "action_id": "value", "max_files": 1}
    blocks = [
        section(f"What learns from *{escape.mrkdwn(dataset.name, 120)}* must be tested on what it has not seen."),
        field_block("file", "The test file, up to 10 MB", element, hint="In the same form, but with other examples."),
    ]
    return modal(
        "test_file_form", "Attach a test file", blocks, submit="Attach", close="Not now",
        metadata=_carried(dataset, channel_id),
    )  # fmt: skip


def chosen_files(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The files that were put into the form, as Slack describes them."""
    return [dict(one) for one in ((values.get("file") or {}).get("value") or {}).get("files") or []]
