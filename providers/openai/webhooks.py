"""What OpenAI sends when a job ends. Only the signature makes it believable, and only the job's id is taken from it."""

import json
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass

from openai import InvalidWebhookSignatureError, OpenAI

from providers._openai_api import answers
from providers.errors import NotAllowed

LONGEST = 256 * 1024
"""Bytes of a body; what is larger is refused unread."""

SHORTEST_KEY = 16
"""Bytes of a secret's key."""

_JOB_EVENTS = "fine_tuning.job."
_LONGEST_ID = 256


@dataclass(frozen=True)
class WebhookEvent:
    """One delivery. The same `id` again is the same event: the vendor repeats what was not answered in time."""

    id: str  # the delivery's, from its signed header
    type: str  # "fine_tuning.job.succeeded"; there are others, and there will be new ones
    job_id: str | None  # of events about a fine-tuning job; ask the vendor what has become of it


def read(body: bytes, headers: Mapping[str, str], secret: str) -> WebhookEvent:
    """The event, if it is signed with `secret` and not older or newer than five minutes.

    Headers may be written in any case. Raises NotAllowed for everything else.
    """
    refused = NotAllowed("This is not signed with this workspace's webhook secret.")
    found = {name.lower(): value for name, value in headers.items()}
    if len(body) > LONGEST:
        raise refused
    try:
        _check(secret)
        _signatures.verify_signature(body, found, secret=secret)
        data = json.loads(body)
    except (InvalidWebhookSignatureError, ValueError, TypeError, RecursionError):
        raise refused from None  # a header is missing or no number, the secret is no base64, the body no JSON
    if not isinstance(data, dict):
        raise refused
    kind, inside = data.get("type"), data.get("data")
    job_id = inside.get("id") if isinstance(inside, dict) else None
    is_about_a_job = isinstance(kind, str) and kind.startswith(_JOB_EVENTS)
    return WebhookEvent(
        id=found["webhook-id"][:_LONGEST_ID],
        type=kind[:_LONGEST_ID] if isinstance(kind, str) else "",
        job_id=job_id if is_about_a_job and isinstance(job_id, str) and answers.is_identifier(job_id) else None,
    )


def _check(secret: str) -> None:
    """Raises ValueError for a secret so short that anybody could sign with it."""
    key = b64decode(secret.removeprefix("whsec_"), validate=True) if secret.startswith("whsec_") else secret.encode()
    if len(key) < SHORTEST_KEY:
        raise ValueError("too short")


_signatures = OpenAI(api_key="none").webhooks
"""Reads signatures; it never connects to anything."""
