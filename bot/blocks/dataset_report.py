"""What was attached: is it good enough, and what to mend first. Read in ten seconds."""

from collections.abc import Sequence
from typing import Any

from bot import escape
from bot.blocks.elements import Block, Drawn, actions, button, context, header, section
from workers.tables import Dataset, DatasetRole, Upload, UploadStatus

MOST_FINDINGS = 6
ROLES = {
    DatasetRole.TRAIN: "learn from it",
    DatasetRole.VALIDATION: "watch it while training",
    DatasetRole.TEST: "held out, to test the result",
}


def draw(files: Sequence[tuple[Upload, Dataset | None]]) -> Drawn:
    """The report on all files of one message."""
    ready = [dataset for _, dataset in files if dataset is not None and dataset.trainable]
    learnt = [dataset for dataset in ready if dataset.role is DatasetRole.TRAIN]
    blocks: list[Block] = [header(_title(files, ready))]
    for upload, dataset in files:
        blocks += _checked(dataset) if dataset is not None else _refused(upload)
    if learnt:
        first = learnt[0]
        blocks.append(
            actions(
                button("Start fine-tuning", "start_from_report", str(first.id), style="primary"),
                button("Preview", "preview_dataset", str(first.id)),
            )
        )
        blocks.append(context("You can change what each file is for in the form. Or type `/finetune start`."))
    return Drawn(text=_title(files, ready), blocks=blocks[:50])


def _title(files: Sequence[tuple[Upload, Dataset | None]], ready: Sequence[Dataset]) -> str:
    if len(ready) == len(files):
        return "✅ Ready to train" if len(files) == 1 else f"✅ {len(files)} files, ready to train"
    if not ready:
        return "❌ Nothing to train on yet"
    return f"⚠️ {len(ready)} of {len(files)} files can be used"


def _checked(dataset: Dataset) -> list[Block]:
    report = dataset.report
    tokens = report.get("tokens") or {}
    name = escape.mrkdwn(dataset.name, 120)
    if dataset.trainable:
        reason = f" ({escape.mrkdwn(dataset.role_reason, 80)})" if dataset.role_reason else ""
        lines = [
            f"✅ *{name}* · {_count(dataset.examples, 'example')} · {_format(dataset)}",
            f"{ROLES[dataset.role].capitalize()}{reason}",
            (
                f"{tokens.get('total', 0):,} tokens; an example has {tokens.get('min', 0):,} to "
                f"{tokens.get('max', 0):,}, "
                f"{tokens.get('median', 0):,.0f} typically"
            ),
        ]
    else:
        errors = sum(1 for one in report.get("findings") or [] if one.get("severity") == "error")
        lines = [
            f"❌ *{name}* · {_count(dataset.examples, 'example')} · {_format(dataset)}",
            f"Not trainable yet: {_count(errors, 'error')}. Mend it, attach it again; nothing was trained on it.",
        ]
    blocks = [section("\n".join(lines))]
    found = _findings(report)
    return [*blocks, section(found)] if found else blocks


def _findings(report: dict[str, Any]) -> str:
    """The errors first, then the warnings, a line a place; what is left out is counted."""
    findings = sorted(report.get("findings") or [], key=lambda one: one.get("severity") != "error")
    shown = []
    for one in findings[:MOST_FINDINGS]:
        mark = "🔴" if one.get("severity") == "error" else "🟡"
        where = f"Line {one['line']:,}: " if one.get("line") else ""
        shown.append(f"{mark} {where}{escape.mrkdwn(str(one.get('message')), 300)}")
    left = sum((report.get("counts") or {}).values()) - len(shown)
    if left > 0:
        shown.append(f"… and {left:,} more.")
    return "\n".join(shown)


def _refused(upload: Upload) -> list[Block]:
    name = escape.mrkdwn(upload.name, 120)
    words = escape.mrkdwn(upload.problem or "It cannot be read.", 1000)
    mark = "❌" if upload.status is UploadStatus.REFUSED else "⏳"
    return [section(f"{mark} *{name}* cannot be used.\n{words}")]


def _format(dataset: Dataset) -> str:
    return {"openai-chat": "chat conversations", "prompt-completion": "prompts and completions"}.get(
        dataset.format, dataset.format
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def preview(dataset: Dataset) -> Block:
    """A window with three examples as they would be trained."""
    from bot.blocks.elements import divider, modal

    blocks: list[Block] = [section(f"*{escape.mrkdwn(dataset.name, 120)}*, as a model would be trained on it:")]
    for number, example in enumerate(dataset.report.get("samples") or [], 1):
        blocks += [divider(), context(f"Example {number} of {dataset.examples:,}")]
        for message in example:
            blocks.append(
                section(
                    f"*{escape.mrkdwn(str(message['role']), 30)}*\n```{escape.code(message['content'], 900) or ' '}```"
                )
            )
    return modal("preview", "Examples", blocks)
