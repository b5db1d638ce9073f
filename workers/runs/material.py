"""A run's files: what it learns from, what it is tested on, and the model that comes out."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from workers.context import Context
from workers.dataprep import convert, split
from workers.dataprep.example import Example
from workers.runs import cost
from workers.runs.plan import Choices
from workers.tables import Dataset, Run


@contextmanager
def dataset_file(context: Context, dataset_id: int) -> Iterator[Path]:
    """The dataset's file on this machine, for the length of the block. Raises FileNotFoundError."""
    with context.db.read() as session:
        key = session.get_one(Dataset, dataset_id).storage_key
    with tempfile.TemporaryDirectory(prefix="finetune-bot-") as folder:
        path = Path(folder) / "dataset"
        context.storage.get(key, path)
        yield path


def write_training(context: Context, run: Run, path: Path) -> int:
    """Write what the run learns from, as openai-chat lines. Returns the number of examples."""
    with dataset_file(context, run.dataset_id) as source:
        held = _held_out_places(context, run, source)
        examples = (one for place, one in enumerate(convert.read_examples(source)) if place not in held)
        return convert.write(examples, "openai-chat", path)


def held_out(context: Context, run: Run) -> list[Example]:
    """What the run is tested on: the first of the test dataset, or what was held out of the only one."""
    most = context.settings.held_out_examples
    with dataset_file(context, run.test_dataset_id or run.dataset_id) as source:
        if run.test_dataset_id is not None:
            return list(islice(convert.read_examples(source), most))
        held = _held_out_places(context, run, source)
        return [one for place, one in enumerate(convert.read_examples(source)) if place in held]


def _held_out_places(context: Context, run: Run, source: Path) -> frozenset[int]:
    if run.test_dataset_id is not None:
        return frozenset()
    with context.db.read() as session:
        examples = session.get_one(Dataset, run.dataset_id).examples
    count = cost.held_out(examples, context.settings.held_out_examples)
    if count == 0:
        return frozenset()
    return split.held_out_places(convert.read_examples(source), count, Choices.from_json(run.plan).seed)


def common_system_prompt(context: Context, run: Run) -> str:
    """The system message that all training examples share; empty if they do not share one."""
    with dataset_file(context, run.dataset_id) as source:
        prompts = set()
        for example in convert.read_examples(source):
            first = example.messages[0]
            prompts.add((first.content or "") if first.role in {"system", "developer"} else "")
            if len(prompts) > 1:
                return ""
    return prompts.pop() if prompts else ""


def model_key(run: Run) -> str:
    """Where the tuned model's files lie in storage."""
    return f"models/{run.id}"


def publish_model(context: Context, run: Run, folder: Path) -> None:
    """Keep the trained adapter: in storage, and where this host's model server finds it. Repeatable."""
    context.storage.put_folder(model_key(run), folder)
    target = context.settings.models_folder / run.model_name
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(folder, partial)
    (partial / "run.json").write_text(json.dumps({"run": run.id, "name": run.name}))
    shutil.rmtree(target, ignore_errors=True)
    partial.replace(target)
