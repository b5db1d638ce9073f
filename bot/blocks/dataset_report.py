"""What was attached: what it is, is it good enough, and what to mend first. Read in ten seconds."""

from collections.abc import Callable, Sequence
from typing import Any

from bot import escape
from bot.blocks import findings
from bot.blocks.elements import (
    Block,
    Drawn,
    actions,
    bar,
    button,
    context,
    fitting,
    header,
    option,
    overflow,
    section,
)
from bot.blocks.findings import counted
from workers.dataset_cards import fixes
from workers.datasets import FEW_EXAMPLES, is_prose
from workers.plans import cost
from workers.plans.billing import Offer
from workers.tables import Dataset, DatasetRole, Upload, UploadStatus

ROLES = {
    DatasetRole.TRAIN: "learn from it",
    DatasetRole.VALIDATION: "watch it while training",
    DatasetRole.TEST: "held out, to test the result",
}
FORMATS = {
    "openai-chat": "chat conversations",
    "prompt-completion": "prompts and completions",
    "alpaca": "instructions (Alpaca)",
    "sharegpt": "chat conversations (ShareGPT)",
    "openai-preference": "preferred and other answers",
    "preference": "preferred and other answers",
    "kto": "answers with thumbs up or down",
    "rft": "prompts with references for a grader",
    "text": "plain text",
    "table": "a table",
}
LAYOUTS = {
    "json": "a JSON array",
    "csv": "CSV",
    "tsv": "TSV",
    "xlsx": "a spreadsheet",
    "parquet": "Parquet",
    "text": "paragraphs",
    "folder": "a datasets folder",
    "hf": "from the hub",
}
GOES_ON = "a model that is trained on it learns to *go on with such text*, not to answer questions about it"
PROSE = (
    "*To teach answers*, attach questions with their answers instead: a table (CSV, Excel) with the columns `question` "
    "and `answer`, or a file of lines like the one below; docs/datasets.md lists all formats.\n"
    '```{"question": "How long may I return it?", "answer": "For 30 days."}```\n'
    "*To ask something about this text*, nothing needs to be trained: paste the passage with your question into a "
    "chat, such as the thread of a model that was tuned here."
)
ELSEWHERE = "It is shared from another channel. It is mended, and its columns and test file are chosen, only there."
LEFT_OUT = "… the rest does not fit into one message: `/finetune data` lists every file."
Shown = tuple[Upload, Dataset | None]
Ranked = Callable[[Dataset], Sequence[Offer]]
"""Where a dataset can be trained and for what price, the best first."""


def on_this_machine(dataset: Dataset) -> Sequence[Offer]:
    """As it is where no vendor is set up."""
    return cost.by_provider(dataset.report)


def draw(files: Sequence[Shown], *, elsewhere: bool = False, ranked: Ranked = on_this_machine) -> Drawn:
    """The report on all files of one message. `elsewhere`: in another channel than theirs, where none is changed."""
    ready = [dataset for _, dataset in files if dataset is not None and _is_ready(dataset)]
    held_out = any(one.role is not DatasetRole.TRAIN for one in ready)
    several = len(files) > 1
    title = _title(files, ready, ranked)
    blocks: list[Block] = [header(title)] if several else []
    for upload, dataset in files:
        if upload.status in {UploadStatus.RECEIVED, UploadStatus.STORED}:
            blocks.append(_waiting(upload))
        elif dataset is None or upload.status is UploadStatus.REFUSED:
            blocks.append(_refused(upload))
        else:
            blocks += _checked(dataset, ranked, several=several, held_out=held_out, elsewhere=elsewhere)
    return Drawn(text=title, blocks=fitting(blocks, LEFT_OUT))


def draw_version(
    dataset: Dataset,
    parent: Dataset | None,
    *,
    held_out: bool,
    elsewhere: bool = False,
    ranked: Ranked = on_this_machine,
) -> Drawn:
    """The report on a version that was made from another."""
    done = dataset.changes
    changed, dropped = int(done.get("changed") or 0), int(done.get("dropped") or 0)
    before = f"{escape.mrkdwn(parent.name, 80)} v{parent.version}" if parent else "another version"
    parts = [f"{counted(dropped, 'example')} removed"] if dropped else []
    parts += [f"{counted(changed, 'example')} changed"] if changed else []
    line = f"🛠️ Made from {before}, which stays as it was: {' and '.join(parts) or 'nothing to change'}."
    blocks = [context(line), *_checked(dataset, ranked, several=False, held_out=held_out, elsewhere=elsewhere)]
    text = f"{_mark(dataset, ranked)} {escape.mrkdwn(dataset.name, 80)} v{dataset.version}"
    return Drawn(text=text, blocks=fitting(blocks, LEFT_OUT))


def _is_ready(dataset: Dataset) -> bool:
    return dataset.trainable and dataset.deleted_at is None


def _is_to_learn(dataset: Dataset) -> bool:
    return _is_ready(dataset) and dataset.role is DatasetRole.TRAIN


def _starts_here(dataset: Dataset, ranked: Ranked) -> bool:
    """Whether something that is set up here trains on it."""
    return cost.best_fit(ranked(dataset)) is not None


def _title(files: Sequence[Shown], ready: Sequence[Dataset], ranked: Ranked) -> str:
    if any(upload.status in {UploadStatus.RECEIVED, UploadStatus.STORED} for upload, _ in files):
        return "⏳ Checking"
    if len(ready) == len(files):
        if all(is_prose(one) for one in ready):
            return "📄 A text, not questions with answers" if len(files) == 1 else f"📄 {len(files)} texts"
        starts = all(_starts_here(one, ranked) and not is_prose(one) for one in ready if _is_to_learn(one))
        state = "ready to train" if starts else "without errors"
        return f"✅ {state.capitalize()}" if len(files) == 1 else f"✅ {len(files)} files, {state}"
    if not ready:
        guessed = [one for _, one in files if one is not None and one.report.get("guessed")]
        return "❓ Which column is what?" if guessed else "❌ Nothing to train on yet"
    return f"⚠️ {len(ready)} of {len(files)} files can be used"


def _checked(dataset: Dataset, ranked: Ranked, *, several: bool, held_out: bool, elsewhere: bool) -> list[Block]:
    report = dataset.report
    if dataset.deleted_at is not None:
        who = f" by <@{dataset.deleted_by}>" if dataset.deleted_by else ""
        return [section(f"🗑️ *{_name(dataset)}* was deleted{who}. Its runs keep their history.")]
    starts_here = _starts_here(dataset, ranked)
    lines = [_what(dataset), _verdict(dataset, starts=starts_here)]
    blocks = [section("\n".join(lines))]
    prose = _is_ready(dataset) and is_prose(dataset)
    if prose:
        blocks.append(section(PROSE))
    found = findings.summary(report, most=3 if several else findings.MOST_KINDS)
    if found and not report.get("guessed"):
        blocks.append(section(escape.cut_escaped(found, 2900)))
    starts = _is_to_learn(dataset) and starts_here
    few = starts and not prose and dataset.examples < FEW_EXAMPLES and not held_out
    if _is_to_learn(dataset) and dataset.format == "text" and not prose:
        blocks.append(context(f"It is text without questions: {GOES_ON}."))
    if few:
        blocks.append(section(_few(dataset)))
    if _is_to_learn(dataset) and not (prose and starts):
        blocks.append(context(_fit(dataset, ranked(dataset))))
    if elsewhere:
        blocks.append(context(ELSEWHERE))
    blocks.append(_buttons(dataset, few=few, starts=starts, elsewhere=elsewhere))
    return blocks


def _what(dataset: Dataset) -> str:
    tokens = dataset.report.get("tokens") or {}
    parts = [f"*{_name(dataset)}*", counted(dataset.examples, "example"), FORMATS.get(dataset.format, dataset.format)]
    written = _written(dataset.report)
    if written:
        parts.append(written)
    if tokens.get("total"):
        low, high = int(tokens.get("min") or 0), int(tokens.get("max") or 0)
        each = f"{low:,} each" if low == high else f"{low:,} to {high:,} each"
        parts.append(f"{int(tokens['total']):,} tokens ({each})")
    return " · ".join(parts)


def _written(report: dict[str, Any]) -> str:
    """How the file is written, where that is worth a word."""
    parts = [LAYOUTS.get(str(report.get("layout") or ""), "")]
    encoding = str(report.get("encoding") or "")
    if encoding and encoding not in {"utf-8", "utf-8-sig", "ascii"}:
        parts.append(escape.mrkdwn(encoding, 30))
    if report.get("compression"):
        parts.append({"gzip": "gzipped", "zip": "zipped"}.get(str(report["compression"]), ""))
    return ", ".join(one for one in parts if one)


def _verdict(dataset: Dataset, *, starts: bool) -> str:
    report = dataset.report
    errors = findings.errors(report)
    if report.get("guessed"):
        columns = ", ".join(str(one) for one in (report.get("table") or {}).get("columns") or [])
        return (
            f"❓ *Which column is what?* It has {escape.mrkdwn(columns, 300) or 'columns that are not known'}. "
            "Choose the prompt and the answer; a guess is filled in."
        )
    if not dataset.trainable:
        mend = "*Apply fixes* mends what a machine can" if fixes(dataset) else "Mend it and attach it again"
        said = counted(errors, "error") if errors else "there is no example in it"
        return f"❌ *Not trainable yet*: {said}. {mend}; nothing was trained on it."
    reason = f" ({escape.mrkdwn(dataset.role_reason, 80)})" if dataset.role_reason else ""
    if is_prose(dataset):
        role = "" if dataset.role is DatasetRole.TRAIN else f" {ROLES[dataset.role].capitalize()}{reason}."
        return f"📄 *A text, not questions with answers*: {GOES_ON}.{role}"
    kinds = len(report.get("counts") or {})
    look = f" {counted(kinds, 'thing')} to look at:" if kinds else " Nothing to mend."
    ready = "Ready"
    if dataset.role is DatasetRole.TRAIN:
        ready = "Ready to train" if starts else "No errors, but nothing here trains on it"
    return f"✅ *{ready}.* {ROLES[dataset.role].capitalize()}{reason}.{look}"


def _buttons(dataset: Dataset, *, few: bool, starts: bool, elsewhere: bool) -> Block:
    """At most five: what one wants next first; nothing that changes it where it is shown elsewhere."""
    number = str(dataset.id)
    report = dataset.report
    guessed = bool(report.get("guessed"))
    made = []
    if guessed and not elsewhere:
        made.append(button("Choose columns", "choose_columns", number, style="primary"))
    elif starts and not is_prose(dataset):
        made.append(button("Start fine-tuning", "start_from_report", number, style="primary"))
    if few and not elsewhere:
        made.append(button("Attach a test file", "attach_test", number))
    if fixes(dataset) and not guessed and not elsewhere:
        style = "" if dataset.trainable else "primary"
        made.append(button("Apply fixes", "fix_dataset", number, style=style))
    made.append(button("Preview", "preview_dataset", number))
    if dataset.changes.get("diff") and not elsewhere:
        made.append(button("Show differences", "show_changes", number))
    if not guessed and dataset.examples:
        made.append(button("Download converted", "convert_dataset", number))
    if starts and is_prose(dataset):
        made.append(button("Train on the text itself", "start_from_report", number))
    return actions(*made, overflow("dataset_menu", menu(dataset, elsewhere=elsewhere)))


def menu(dataset: Dataset, *, card: bool = True, elsewhere: bool = False) -> list[Block]:
    """What else can be done; `card`: beside the buttons of the report."""
    number = str(dataset.id)
    made = [] if card else [option("Show its report", f"show:{number}"), option("Preview", f"preview:{number}")]
    if card and (dataset.report.get("counts") or {}):
        made.append(option("All findings", f"findings:{number}"))
    choosable = dataset.report.get("table") and dataset.upload_id and not dataset.report.get("guessed")
    if card and choosable and not elsewhere:
        made.append(option("Choose other columns", f"columns:{number}"))
    shared = option("Keep it to its channel", f"unshare:{number}")
    made.append(shared if dataset.shared else option("Share with the workspace", f"share:{number}"))
    made.append(option("Delete …", f"delete:{number}"))
    return made


def _fit(dataset: Dataset, offers: Sequence[Offer]) -> str:
    """Where it can be trained here and for what price; else what is missing, and what would do."""
    best = cost.best_fit(offers)
    if best is not None:
        return f"💡 Best fit: {escape.mrkdwn(best.words, 200)}"
    would = next((f" This would: {one.words}." for one in offers if one.fits), "")
    return (
        f"💡 Nothing that is set up here trains on it (method {dataset.method}).{escape.mrkdwn(would, 250)} "
        "*Download converted* writes it in other formats, to train elsewhere."
    )


def _few(dataset: Dataset) -> str:
    return (
        f"🔬 *{counted(dataset.examples, 'example')} and no file to test on*: if you start like this, nothing can be "
        f"claimed about how it answers new questions. Attach a test file, or collect {FEW_EXAMPLES} examples or more."
    )


def _refused(upload: Upload) -> Block:
    words = escape.mrkdwn(upload.problem or "It cannot be read.", 1000)
    return section(f"❌ *{escape.mrkdwn(upload.name, 120)}* cannot be used.\n{words}")


def _waiting(upload: Upload) -> Block:
    name = escape.mrkdwn(upload.name, 120)
    progress = upload.progress
    done, total = int(progress.get("bytes_done") or 0), int(progress.get("bytes_total") or 0)
    if not total:
        return section(f"⏳ *{name}* is being {'downloaded' if upload.status is UploadStatus.RECEIVED else 'read'} …")
    shown = f"`{bar(done / total)}` {size(done)} of {size(total)}"
    examples = int(progress.get("examples") or 0)
    return section(f"⏳ *{name}* is being checked\n{shown}" + (f" · {examples:,} examples so far" if examples else ""))


def size(count: int) -> str:
    """Bytes for people."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:,.1f} {unit}"
    return f"{count:,} bytes"


def _name(dataset: Dataset) -> str:
    version = f" v{dataset.version}" if dataset.version > 1 else ""
    return f"{escape.mrkdwn(dataset.name, 120)}{version}"


def _mark(dataset: Dataset, ranked: Ranked) -> str:
    if dataset.report.get("guessed"):
        return "❓"
    if dataset.trainable and is_prose(dataset):
        return "📄 A text, not questions with answers:"
    if dataset.trainable:
        return "✅ Ready to train:" if _starts_here(dataset, ranked) else "✅ Without errors:"
    return "❌ Not trainable yet:"
