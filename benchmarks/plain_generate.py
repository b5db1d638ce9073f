"""The baseline of chat: one question after another to transformers' own `generate`, as a plain script would.

python -m benchmarks.plain_generate BASE ADAPTER

Reads a line of JSON for each question from its input ({"messages": [...], "tuned": true, "tokens": 64}) and answers
with one: the text, how many tokens it has, the seconds until the first one and until the last.
"""

import json
import sys
import time
from typing import Any


def main() -> None:
    """Answer until the input ends."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base, adapter = sys.argv[1:]
    tokenizer = AutoTokenizer.from_pretrained(base)
    plain: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    tuned: Any = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), adapter)
    tuned.eval()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(answer(tuned if asked["tuned"] else plain, tokenizer, asked)), flush=True)


def answer(model: Any, tokenizer: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """One greedy answer."""
    import torch

    begin = time.perf_counter()
    first = FirstToken()
    inputs = tokenizer.apply_chat_template(
        asked["messages"], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    with torch.inference_mode():
        out = model.generate(**inputs, max_new_tokens=asked["tokens"], do_sample=False, streamer=first)
    written = out[0, inputs["input_ids"].shape[1] :]
    text = tokenizer.decode(written, skip_special_tokens=True)
    end = time.perf_counter()
    return {"text": text, "tokens": len(written), "first": first.at - begin, "seconds": end - begin}


class FirstToken:
    """Notes when the first token came; before it, `generate` passes the question itself."""

    def __init__(self) -> None:
        self.at = 0.0
        self._is_question = True

    def put(self, _tokens: Any) -> None:
        """A token, or the question."""
        if self._is_question:
            self._is_question = False
        elif not self.at:
            self.at = time.perf_counter()

    def end(self) -> None:
        """Nothing to do."""


if __name__ == "__main__":
    main()
