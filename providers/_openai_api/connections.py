"""When a client's connections are closed."""

import weakref
from typing import TypeVar

from openai import OpenAI

Owner = TypeVar("Owner")


def closed_with(owner: Owner, client: OpenAI) -> Owner:
    """The owner; once nobody has it any more, the client's connections are closed."""
    weakref.finalize(owner, client.close)
    return owner
