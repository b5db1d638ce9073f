"""How fast a dataset is checked, beside two baselines on the same file in the same run.

    python -m benchmarks dataset          (FINETUNE_BENCH_EXAMPLES=5000000 for a 5 GB file)

plain   one process, example by example: the cookbook's checks, and tokens by encoding each message with bpe-openai
floor   as many processes as the check: each line parsed with orjson, its text counted with the same counter, no more
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import psutil

EXAMPLES = 1_000_000
LEAST_OVER_PLAIN = 12.0
LEAST_OF_FLOOR = 0.5
MOST_MEMORY = 500e6
PLAIN_BYTES = 200_000_000
"""The plain loop reads so much of the file: it is the same on every byte of it."""
TOKENIZER = "o200k_base"
REAL = Path(__file__).parent.parent / "tests" / "data"
REAL_FILES = ("foundry_gsm8k_train.jsonl", "foundry_stock_toolcall.jsonl", "azureml_prompt_completion.jsonl")
REAL_BYTES = 60_000_000


def measure() -> dict[str, Any]:
    """Throughputs in MB/s, their ratios, and the peak memory of all processes together."""
    with tempfile.TemporaryDirectory(prefix="ftb-bench-") as folder:
        made = Path(folder) / "made.jsonl"
        examples = int(os.environ.get("FINETUNE_BENCH_EXAMPLES", EXAMPLES))
        generate(made, examples)
        figures = _compared(made)
        real = {}
        for name in REAL_FILES:
            path = Path(folder) / name
            _repeat(REAL / name, path)
            real[name] = _compared(path)
            path.unlink()
    good = (
        figures["over_plain"] >= LEAST_OVER_PLAIN
        and figures["of_floor"] >= LEAST_OF_FLOOR
        and max(figures["memory_mb"].values()) * 1e6 <= MOST_MEMORY
    )
    return {"examples": examples, "cores": os.cpu_count(), **figures, "real": real, "good": good}


def _compared(path: Path) -> dict[str, Any]:
    parts = {name: _run(name, path) for name in PARTS}
    speed = {name: round(figures["mb_per_second"], 1) for name, figures in parts.items()}
    return {
        "mb": round(path.stat().st_size / 1e6),
        "mb_per_second": speed,
        "over_plain": round(speed["check"] / speed["plain"], 2),
        "of_floor": round(speed["check"] / speed["floor"], 3),
        "deep_over_plain": round(speed["deep"] / speed["plain"], 2),
        "deep_of_floor": round(speed["deep"] / speed["floor"], 3),
        "memory_mb": {name: round(parts[name]["memory_bytes"] / 1e6) for name in ("check", "deep")},
    }


def _run(name: str, path: Path) -> dict[str, float]:
    """One part in a process of its own, its memory watched."""
    command = [sys.executable, "-m", "benchmarks.dataset", name, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        most = 0
        while process.poll() is None:
            most = max(most, _memory(process.pid))
            time.sleep(0.1)
        assert process.stdout is not None
        figures: dict[str, float] = json.loads(process.stdout.read())
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return {**figures, "memory_bytes": most}


def _memory(pid: int) -> int:
    """What the process and its children hold; pages that they share count once."""
    held = 0
    try:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            held += process.memory_full_info().pss
    except psutil.Error:
        return held
    return held


def generate(path: Path, examples: int) -> None:
    """A chat dataset of about a kilobyte an example, made of the words of real ones; the same every time."""
    draw = random.Random(7)  # noqa: S311 -- made data, not a secret
    texts = [
        message["content"]
        for name in ("foundry_gsm8k_train.jsonl", "cookbook_toy_chat.jsonl")
        for line in (REAL / name).read_text().splitlines()
        for message in json.loads(line)["messages"]
        if message["content"]
    ]
    words = [json.dumps(word, ensure_ascii=False)[1:-1] for text in texts for word in text.split()]
    phrases = [" ".join(draw.choices(words, k=draw.randint(4, 16))) for _ in range(20_000)]
    with path.open("w", encoding="utf-8") as file:
        for _ in range(examples):
            question = ". ".join(draw.choices(phrases, k=draw.randint(4, 14)))
            answer = ". ".join(draw.choices(phrases, k=draw.randint(1, 8)))
            file.write(
                '{"messages": [{"role": "system", "content": "You answer with care."}, {"role": "user", "content": "'
                f'{question}?"}}, {{"role": "assistant", "content": "{answer}."}}]}}\n'
            )


def _repeat(source: Path, path: Path) -> None:
    data = source.read_bytes()
    data += b"" if data.endswith(b"\n") else b"\n"
    with path.open("wb") as file:
        for _ in range(max(1, REAL_BYTES // len(data))):
            file.write(data)


def _plain(path: Path) -> int:  # noqa: C901 -- as plain as it is written everywhere
    """The cookbook's algorithm, an example at a time."""
    import bpe_openai

    encoding = bpe_openai.get_encoding(TOKENIZER)
    keys = {"role", "content", "name", "function_call", "weight", "tools", "tool_calls", "tool_call_id"}
    roles = {"system", "user", "assistant", "function", "tool", "developer"}
    errors: dict[str, int] = {}
    totals: list[int] = []
    read = 0

    def note(check: str) -> None:
        errors[check] = errors.get(check, 0) + 1

    with path.open(encoding="utf-8") as file:
        for line in file:
            read += len(line.encode())
            example = json.loads(line)
            if not isinstance(example, dict):
                note("data_type")
                continue
            messages = example.get("messages") or _as_messages(example)
            if not messages:
                note("missing_messages_list")
                continue
            tokens = 3
            for message in messages:
                if "role" not in message or "content" not in message:
                    note("message_missing_key")
                if any(key not in keys for key in message):
                    note("message_unrecognized_key")
                if message.get("role") not in roles:
                    note("unrecognized_role")
                content = message.get("content")
                if (not content and not message.get("tool_calls")) or not isinstance(content, str | None):
                    note("missing_content")
                tokens += 3
                for key, value in message.items():
                    if isinstance(value, str):
                        tokens += len(encoding.encode_ordinary(value)) + (key == "name")
            if not any(message.get("role") == "assistant" for message in messages):
                note("example_missing_assistant_message")
            if not any(message.get("role") == "system" for message in messages):
                note("missing_system_message")
            if not any(message.get("role") == "user" for message in messages):
                note("missing_user_message")
            totals.append(tokens)
            if read >= PLAIN_BYTES:
                break
    return read


def _as_messages(example: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [
        {"role": "user", "content": example.get("prompt")},
        {"role": "assistant", "content": example.get("completion")},
    ]


def _floor(path: Path) -> int:
    """Parse and count, nothing else, on all cores."""
    from workers.dataprep.blocks import blocks
    from workers.dataprep.parallel import cores, each

    for _ in each(_floor_of_block, blocks(path), cores()):
        pass
    return path.stat().st_size


def _floor_of_block(block: Any) -> int:
    import orjson

    from workers.dataprep.blocks import batches
    from workers.dataprep.tokens import counter

    count = counter(TOKENIZER)
    return sum(sum(count(list(_texts(map(orjson.loads, batch.lines))))) for batch in batches(block, 64_000_000))


def _texts(records: Iterator[Any]) -> Iterator[str]:
    for record in records:
        for message in record["messages"] if "messages" in record else _as_messages(record):
            content = message.get("content")
            if isinstance(content, str):
                yield content


def _check(path: Path, *, deep: bool) -> int:
    from workers.dataprep.report import check_file
    from workers.dataprep.source import Limits

    report = check_file(path, tokenizer=TOKENIZER, limits=Limits(max_bytes=10_000_000_000), deep=deep)
    assert report.examples
    return path.stat().st_size


PARTS: Mapping[str, Callable[[Path], int]] = {
    "plain": _plain,
    "floor": _floor,
    "check": partial(_check, deep=False),
    "deep": partial(_check, deep=True),
}


def main() -> None:
    """One part, timed after its imports: what a worker that is already up takes."""
    name, path = sys.argv[1], Path(sys.argv[2])
    list(islice(path.open("rb"), 1))
    began = time.perf_counter()
    read = PARTS[name](path)
    print(json.dumps({"mb_per_second": read / 1e6 / (time.perf_counter() - began)}))


if __name__ == "__main__":
    main()
