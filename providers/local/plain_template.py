"""A base model's tokenizer, with a way to write conversations where the model brings none.

A model that was not made for chat has no chat template. It gets a plain one: a prompt and its answer stand one
behind the other, as a file of prompts and completions has them, and an answer ends with the end token. It is kept with
the tuned model, and the model server uses the same, so what is asked later looks as it was learnt.
"""

from pathlib import Path
from typing import Any

PLAIN = (
    "{% for message in messages %}"
    "{% if not loop.first and message['role'] != 'assistant' %}{{ '\\n' }}{% endif %}"
    "{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}"
    "{% endfor %}"
)
_BEGINS = "{{ bos_token }}"


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer in a folder; it always has a chat template, unless the model has no end token either."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if not tokenizer.chat_template and tokenizer.eos_token:
        tokenizer.chat_template = (_BEGINS if begins(tokenizer) else "") + PLAIN
    return tokenizer


def begins(tokenizer: Any) -> bool:
    """Whether a text begins with the tokenizer's begin token."""
    return tokenizer.bos_token_id is not None and tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id]


def is_plain(tokenizer: Any) -> bool:
    """Whether the model brought no chat template of its own."""
    return str(tokenizer.chat_template or "").endswith(PLAIN)
