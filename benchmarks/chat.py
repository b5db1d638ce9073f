"""Chat with local models: the model server beside transformers' own `generate`, on the same model and questions.

python -m benchmarks chat

Questions are asked in turns, one here, one there, so that whatever else the machine does hits both. Reported are the
medians of: time to the first token and tokens a second for one chat at a time (base model and adapter), eight chats at
once beside the same eight one after the other, and the server's memory after twenty adapters beside after one.
"""

import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from providers._openai_compatible import OpenAICompatibleChat
from providers.base import ChatMessage, ChatRequest
from providers.local import base_models

BASE = "smollm2-135m-instruct"
ADAPTERS = 20
RANK = 16
TOKENS = 48
ROUNDS = 5
CHATS = 8
QUESTIONS = (
    "Tell me a long story about a lighthouse keeper and a whale.",
    "Explain step by step how bread is baked, in great detail.",
    "Describe a walk through an old town in autumn.",
    "Write an essay about the history of the bicycle.",
    "Tell me everything that you know about rivers and how they shape the land around them.",
    "Describe what a gardener does in each month of the year.",
    "Write a long letter from a sailor to his sister.",
    "Explain how a letter travels from one country to another.",
)
FIRST_TOKEN, SPEED, MEMORY, TOGETHER = 1.0, 1.0, 1.3, 2.5
"""How good it has to be."""


@dataclass(frozen=True)
class Timed:
    """One answer, or several together."""

    text: str
    tokens: int
    first: float
    seconds: float

    @property
    def speed(self) -> float:
        """Tokens a second."""
        return self.tokens / self.seconds


def measure() -> dict[str, Any]:
    """Measure everything in one run."""
    with tempfile.TemporaryDirectory(prefix="finetune-bot-chat-") as scratch:
        folder = Path(scratch)
        base = base_models.find(BASE, folder / "cache")
        for number in range(ADAPTERS):
            make_adapter(base, folder / "models" / name(number), number)
        figures = memory(folder)
        figures |= one_at_a_time(folder, base) | together(folder)
    good = (
        min(figures["first_token_ratio"], figures["tuned_first_token_ratio"]) >= FIRST_TOKEN
        and min(figures["speed_ratio"], figures["tuned_speed_ratio"]) >= SPEED
        and figures["memory_ratio"] <= MEMORY
        and min(figures["together_ratio"], figures["mixed_together_ratio"]) >= TOGETHER
        and figures["same_answers"]
    )
    return {**figures, "good": good}


def memory(folder: Path) -> dict[str, Any]:
    """The server's resident memory after one adapter has answered, and after all have."""
    with serving(folder) as (process, chat):
        asked = [ask(chat, name(0), QUESTIONS[0]) for _ in range(3)]
        one = psutil.Process(process.pid).memory_info().rss
        firsts = [ask(chat, name(number), QUESTIONS[0]).first for number in range(1, ADAPTERS)]
        many = psutil.Process(process.pid).memory_info().rss
        with ThreadPoolExecutor(ADAPTERS) as pool:
            list(pool.map(lambda number: ask(chat, name(number), QUESTIONS[0]), range(ADAPTERS)))
        at_once = psutil.Process(process.pid).memory_info().rss
    return {
        "adapters": ADAPTERS,
        "memory_one_mb": one >> 20,
        "memory_many_mb": many >> 20,
        "memory_ratio": round(many / one, 3),
        "all_at_once_mb": at_once >> 20,
        "new_adapter_first_token_ms": round(statistics.median(firsts) * 1000),
        "known_adapter_first_token_ms": round(asked[-1].first * 1000),
    }


def one_at_a_time(folder: Path, base: Path) -> dict[str, Any]:
    """One chat at a time, beside `generate`."""
    figures: dict[str, Any] = {"same_answers": True}
    with plain(folder, base) as script, serving(folder) as (_, chat):
        for kind, model, tuned in (("", BASE, False), ("tuned_", name(0), True)):
            ours, theirs = [], []
            for number in range(-1, ROUNDS):
                question = f"{number + 2}. {QUESTIONS[number % len(QUESTIONS)]}"
                pair = (script.ask(question, tuned=tuned), ask(chat, model, question))
                figures["same_answers"] &= pair[0].text == pair[1].text
                if number >= 0:  # the first ones warm up
                    theirs.append(pair[0])
                    ours.append(pair[1])
            figures |= {
                f"{kind}first_token_ms": round(statistics.median(one.first for one in ours) * 1000),
                f"{kind}first_token_ratio": _ratio(
                    [(one.first, other.first) for one, other in zip(theirs, ours, strict=True)]
                ),
                f"{kind}tokens_per_second": round(statistics.median(one.speed for one in ours), 1),
                f"{kind}speed_ratio": _ratio(
                    [(one.speed, other.speed) for one, other in zip(ours, theirs, strict=True)]
                ),
            }
    return figures


def together(folder: Path) -> dict[str, Any]:
    """Eight chats at once, beside the same one after the other: with one adapter, and each with its own."""
    figures: dict[str, Any] = {}
    with serving(folder) as (_, chat), ThreadPoolExecutor(CHATS) as pool:
        for kind, models in (("", [name(0)] * CHATS), ("mixed_", [name(number) for number in range(CHATS)])):
            speeds = []
            for number in range(-1, 3):
                # nobody asks the same twice: what was read before need not be read again
                asked, others = (
                    [
                        (model, f"{2 * number + more}. {question}")
                        for model, question in zip(models, QUESTIONS, strict=True)
                    ]
                    for more in (3, 4)
                )
                begin = time.perf_counter()
                alone = [ask(chat, *one) for one in asked]
                middle = time.perf_counter()
                at_once = list(pool.map(lambda one: ask(chat, *one), others))
                end = time.perf_counter()
                if number >= 0:
                    tokens = [sum(one.tokens for one in said) for said in (at_once, alone)]
                    speeds.append((tokens[0] / (end - middle), tokens[1] / (middle - begin)))
            figures[f"{kind}together_tokens_per_second"] = round(statistics.median(one for one, _ in speeds), 1)
            figures[f"{kind}together_ratio"] = _ratio(speeds)
    return figures


def _ratio(pairs: Sequence[tuple[float, float]]) -> float:
    return round(statistics.median(one / other for one, other in pairs), 2)


def ask(chat: OpenAICompatibleChat, model: str, question: str) -> Timed:
    """One greedy answer by the server."""
    begin, first, text, tokens = time.perf_counter(), 0.0, "", 0
    for chunk in chat.stream(ChatRequest(model, [ChatMessage("user", question)], TOKENS)):
        first = first or time.perf_counter() - begin
        text += chunk.text
        tokens = chunk.completion_tokens or tokens
    return Timed(text, tokens, first, time.perf_counter() - begin)


@dataclass(frozen=True)
class Script:
    """The plain script, waiting for questions."""

    process: subprocess.Popen[str]

    def ask(self, question: str, *, tuned: bool) -> Timed:
        """One greedy answer by it."""
        asked = {"messages": [{"role": "user", "content": question}], "tuned": tuned, "tokens": TOKENS}
        return Timed(**self.say(json.dumps(asked)))

    def say(self, line: str = "") -> dict[str, Any]:
        """Send a line, and read one."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if line:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        answered: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answered


@contextmanager
def plain(folder: Path, base: Path) -> Iterator[Script]:
    """The plain script, ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.plain_generate", str(base), str(folder / "models" / name(0))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        script = Script(process)
        script.say()
        yield script
        assert process.stdin is not None
        process.stdin.close()


@contextmanager
def serving(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], OpenAICompatibleChat]]:
    """A model server that has just started."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = ["--models", str(folder / "models"), "--cache", str(folder / "cache"), "--port", str(port)]
    command = [sys.executable, "-m", "providers.local.serving", *places]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with closing(OpenAICompatibleChat(f"http://127.0.0.1:{port}/v1")) as chat:
            _wait(port, process)
            ask(chat, BASE, QUESTIONS[0])
            yield process, chat
    finally:
        process.terminate()
        process.wait(20)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("the model server does not start")


def name(number: int) -> str:
    """An adapter's."""
    return f"adapter-{number}"


def make_adapter(base: Path, folder: Path, seed: int) -> None:
    """Write an adapter as a training of the base model leaves it, but with small values by chance."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(seed)
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base))
    config = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM")
    tuned = get_peft_model(model, config)
    state = {
        key: torch.randn(value.shape) * (0.02 if "lora_A" in key else 0.002)
        for key, value in tuned.state_dict().items()
        if "lora_" in key
    }
    tuned.save_pretrained(folder, state_dict=state)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    (folder / base_models.MODEL_FILE).write_text(json.dumps({"base_model": BASE}))
