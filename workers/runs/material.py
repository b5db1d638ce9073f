"""A run's files: what it learns from, what it is tested on, and the model that comes out."""

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import compress, islice
from pathlib import Path

import structlog

from providers import prices
from providers.base import Method
from providers.capabilities import CAPABILITIES
from providers.errors import InvalidRequest
from workers.context import Context
from workers.dataprep import convert, families, leakage, split
from workers.dataprep.checks import vendors
from workers.dataprep.convert import Written
from workers.dataprep.example import Example
from workers.dataprep.formats import ColumnMapping
from workers.dataprep.leakage import Leakage
from workers.dataprep.limits import Limits
from workers.dataprep.split import Keys, Side
from workers.errors import UserError
from workers.evaluation import preferences
from workers.evaluation.preferences import Preferences
from workers.plans.choices import Choices, sizes
from workers.runs import division, lifecycle
from workers.runs.division import Division
from workers.tables import Dataset, Run

log = structlog.get_logger()

MOST_BYTES = 20_000_000
"""Of a file that is read while somebody waits, as it is stored and unpacked: few tokens may lie among many pictures."""
MOST_LOSSES = 5
"""So many kinds of what a provider's format cannot express are named in a run's thread."""
WHILE_WAITING = Limits(max_bytes=MOST_BYTES, max_plain_bytes=MOST_BYTES)


@contextmanager
def dataset_file(context: Context, dataset_id: int) -> Iterator[Path]:
    """The dataset's file on this machine, for the length of the block. Raises FileNotFoundError."""
    with context.db.read() as session:
        key = session.get_one(Dataset, dataset_id).storage_key
    with tempfile.TemporaryDirectory(prefix="finetune-bot-") as folder:
        path = Path(folder) / "dataset"
        context.storage.get(key, path)
        yield path


def examples(context: Context, dataset_id: int, path: Path, limits: Limits | None = None) -> Iterator[Example]:
    """The examples of a dataset's file, read as it was checked: with the columns that somebody chose.

    A file that was accepted is not refused for its size, unless `limits` say so. Raises UnreadableDataset.
    """
    with context.db.read() as session:
        row = session.get_one(Dataset, dataset_id)
    mapping = row.mapping or row.report.get("mapping")
    limits = limits or Limits(max_bytes=path.stat().st_size)
    yield from convert.read_examples(path, mapping=ColumnMapping.from_json(mapping) if mapping else None, limits=limits)


def target(provider: str, method: Method) -> str:
    """The id of the format that this provider wants for this method, as `convert` names it."""
    wanted = CAPABILITIES[provider].format_for(method)
    return "openai-chat" if wanted == "openai-rft" else wanted  # its prompts with reference fields are such lines


def write_training(context: Context, run: Run, path: Path) -> int:
    """Write what the run learns from, as its provider wants it. Returns the number of examples.

    What cannot be written so is left out, and the run's thread says how much. Raises InvalidRequest where too little
    is left for the provider, or the file is too large for it.
    """
    vendor = prices.vendor(run.provider)
    with dataset_file(context, run.dataset_id) as source:
        held = divided(context, run, source).held_out
        learnt = (one for one in examples(context, run.dataset_id, source) if one.line not in held)
        written = _written(run, learnt, path)
    _tell_losses(context, run, written, "training")
    if written.count < vendor.minimum_examples:
        raise InvalidRequest(
            f"{vendor.text} trains on {vendor.minimum_examples} examples at least; only {written.count} of these can "
            "be written as it wants them. Mend or add examples, and start again."
        )
    _check_size(run, path)
    return written.count


def write_validation(context: Context, run: Run, path: Path) -> int:
    """Write what is watched while training; without anything to watch no file, and 0.

    So few that the provider would refuse them are not watched either, and the run's thread says so.
    """
    with dataset_file(context, run.dataset_id) as source:
        parts = divided(context, run, source)
        if run.validation_dataset_id is None:
            wanted = frozenset(parts.validation)
            watched = (one for one in examples(context, run.dataset_id, source) if one.line in wanted)
            return _watched(context, run, watched, path) if wanted else 0
    with _leaked(context, run.dataset_id, run.validation_dataset_id) as (validation, found):
        if found.count == found.tested:
            return 0
        own = examples(context, run.validation_dataset_id, validation)
        return _watched(context, run, compress(own, ~found.leaked), path)


def write_test(context: Context, run: Run, path: Path) -> int:
    """Write what the run is tested on, for a trainer that judges by it; without anything no file, and 0."""
    held = held_out(context, run)
    try:
        return _written(run, held, path).count if held else 0
    except InvalidRequest as error:  # a test file of another kind: its prompts are answered all the same
        log.info("nothing_to_judge", run_id=run.id, why=error.user_message)
        return 0


def keep_judged(context: Context, run: Run, file: Path) -> None:
    """Keep how a trainer judged the held-out answers, if it did."""
    if file.is_file():
        context.storage.put(judged_key(run), file)


def judged(context: Context, run: Run) -> Preferences | None:
    """How base and tuned model judge the held-out answers; None where no trainer has told."""
    if not context.storage.exists(judged_key(run)):
        return None
    with context.storage.open(judged_key(run)) as file:
        return preferences.read(file.read())


def judged_key(run: Run) -> str:
    """Where it lies in storage how the held-out answers were judged: beside the run's division."""
    return f"splits/{run.id}-judged.json"


def _watched(context: Context, run: Run, watched: Iterator[Example], path: Path) -> int:
    written = _written(run, watched, path)
    _tell_losses(context, run, written, "validation")
    vendor = prices.vendor(run.provider)
    if written.count >= vendor.minimum_examples:
        _check_size(run, path)
        return written.count
    path.unlink()
    with context.db.write() as session:
        words = (
            f"Only {written.count} examples could be watched while training; {vendor.text} wants "
            f"{vendor.minimum_examples} at least. It trains without."
        )
        lifecycle.note(session, session.get_one(Run, run.id), "nothing-watched", words)
    return 0


def _written(run: Run, some: Iterable[Example], path: Path) -> Written:
    try:
        return convert.write(some, target(run.provider, Method(run.method)), path)
    except UserError as error:
        raise InvalidRequest(error.user_message) from error


def _check_size(run: Run, path: Path) -> None:
    rules = vendors.rules().get(run.provider)
    size = path.stat().st_size
    if rules is not None and rules.most_bytes is not None and size > rules.most_bytes:
        raise InvalidRequest(
            f"The file is {size / 1e6:,.0f} MB; {rules.name} takes at most {rules.most_bytes / 1e6:,.0f} MB. Leave "
            "out examples, or train elsewhere."
        )


def _tell_losses(context: Context, run: Run, written: Written, what: str) -> None:
    """What could not be written is said in the run's thread, once."""
    if not written.losses:
        return
    shown = sorted(written.losses.items(), key=lambda one: -one[1])[:MOST_LOSSES]
    lines = [f"• {count:,} × {words[:300]}" for words, count in shown]
    left_out = f" {written.left_out:,} examples are left out." if written.left_out else ""
    head = f"Not all of the {what} data can be written for {prices.vendor(run.provider).text}.{left_out}"
    with context.db.write() as session:
        row = session.get_one(Run, run.id)
        lifecycle.note(session, row, f"losses-{what}", "\n".join([head, *lines]))


def held_out(context: Context, run: Run) -> list[Example]:
    """What the run is tested on: the first of the test dataset, or what was held out of the only one."""
    with dataset_file(context, run.dataset_id) as source:
        lines = divided(context, run, source).test[: context.settings.held_out_examples]
        if run.test_dataset_id is None:
            wanted = frozenset(lines)
            return [one for one in examples(context, run.dataset_id, source) if one.line in wanted]
    wanted = frozenset(lines)
    with dataset_file(context, run.test_dataset_id) as source:
        tested = (one for one in examples(context, run.test_dataset_id, source) if one.line in wanted)
        return list(islice(tested, len(wanted)))


def divided(context: Context, run: Run, source: Path | None = None) -> Division:
    """How the run's examples are divided: found once, kept, and the same for every attempt.

    `source` is the training dataset's file where it is at hand.
    """
    key = division.storage_key(run)
    if context.storage.exists(key):
        with context.storage.open(key) as file:
            return Division.from_json(json.load(file))
    if source is None:
        with dataset_file(context, run.dataset_id) as found:
            parts = _as_before(context, run) or _divide(context, run, found)
    else:
        parts = _as_before(context, run) or _divide(context, run, source)
    with tempfile.TemporaryDirectory(prefix="finetune-bot-") as folder:
        path = Path(folder) / "split.json"
        path.write_text(json.dumps(parts.to_json()))
        context.storage.put(key, path)
    log.info("divided", run_id=run.id, test=len(parts.test), validation=len(parts.validation), leaked=parts.leaked)
    return parts


def _as_before(context: Context, run: Run) -> Division | None:
    """The division of the run that this one repeats elsewhere, where it is known and nothing of it was changed."""
    with context.db.read() as session:
        before = session.get(Run, run.rehomed_from_id) if run.rehomed_from_id is not None else None
    if before is None or not division.same(before, run) or not context.storage.exists(division.storage_key(before)):
        return None
    return divided(context, before)


def _divide(context: Context, run: Run, source: Path) -> Division:
    choices = Choices.from_json(run.plan)
    most = context.settings.held_out_examples
    part = division.part_of(run)
    with context.db.read() as session:
        parts = sizes(session.get_one(Dataset, run.dataset_id).examples, choices, most)
    if part is None and not (parts.test or parts.validation):
        return _tested_file(context, run, most) if run.test_dataset_id is not None else Division()
    keys = Keys.of(examples(context, run.dataset_id, source))
    near = families.pairs(examples(context, run.dataset_id, source))
    if part is not None:
        dealt = split.folds(keys, part.of, seed=choices.seed, near=near)
        return Division(test=dealt.lines(part.number))
    sides = split.split(keys, validation=parts.validation, test=parts.test, seed=choices.seed, near=near)
    own = Division(validation=sides.lines(Side.VALIDATION), test=sides.lines(Side.TEST))
    if run.test_dataset_id is None:
        return own
    tested = _tested_file(context, run, most)
    return replace(tested, validation=own.validation)


def _tested_file(context: Context, run: Run, most: int) -> Division:
    """Of a test file the first examples that were not learnt from."""
    assert run.test_dataset_id is not None
    with _leaked(context, run.dataset_id, run.test_dataset_id) as (path, found):
        clean = compress(examples(context, run.test_dataset_id, path), ~found.leaked)
        lines = [one.line for one in islice(clean, most)]
    return Division(test=lines, leaked=found.count, leaked_words=found.words, of_file=True)


def compare(context: Context, dataset_id: int, other_id: int, limits: Limits | None = None) -> Leakage:
    """What of the other dataset is also in the first. Raises FileNotFoundError, UnreadableDataset over the limits."""
    with _leaked(context, dataset_id, other_id, limits) as (_, found):
        return found


@contextmanager
def _leaked(
    context: Context, dataset_id: int, other_id: int, limits: Limits | None = None
) -> Iterator[tuple[Path, Leakage]]:
    """The other dataset's file, with what of it is also in the first."""
    with dataset_file(context, dataset_id) as train, dataset_file(context, other_id) as other:
        yield (
            other,
            leakage.between(examples(context, dataset_id, train, limits), examples(context, other_id, other, limits)),
        )


def common_system_prompt(context: Context, run: Run) -> str:
    """The system message that all training examples share; empty if they do not share one."""
    with dataset_file(context, run.dataset_id) as source:
        prompts = set()
        for example in examples(context, run.dataset_id, source):
            first = example.messages[0]
            prompts.add(first.text if first.role in {"system", "developer"} else "")
            if len(prompts) > 1:
                return ""
    return prompts.pop() if prompts else ""


def model_key(run: Run) -> str:
    """Where the tuned model's files lie in storage."""
    return f"models/{run.id}"


def publish_model(context: Context, run: Run, folder: Path) -> None:
    """Keep the trained adapter: in storage, and where this host's model server finds it. Repeatable."""
    target = _model_folder(context, run)
    context.storage.put_folder(model_key(run), folder)
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(folder, partial)
    (partial / "run.json").write_text(json.dumps({"run": run.id, "name": run.name}))
    shutil.rmtree(target, ignore_errors=True)
    partial.replace(target)


def discard_model(context: Context, run: Run) -> None:
    """Remove a tuned model of this machine that was only made to be tested. Nothing there is nothing to do."""
    if run.provider not in lifecycle.LOCAL_PROVIDERS:
        return  # its name is the vendor's
    shutil.rmtree(_model_folder(context, run), ignore_errors=True)
    if run.model_key:
        context.storage.delete(run.model_key)


def _model_folder(context: Context, run: Run) -> Path:
    """The folder of a model that this machine trained; never another one than a child of the models' own."""
    name = run.model_name
    if run.provider not in lifecycle.LOCAL_PROVIDERS or not name or name.startswith(".") or Path(name).name != name:
        raise ValueError(f"Run {run.id} names no folder of a model.")
    return context.settings.models_folder / name
