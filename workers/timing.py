"""How patient the task protocol is; apart from `tasks`, so that light processes need no database code."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """How patient the protocol is, in seconds."""

    lease_seconds: float = 30.0
    redispatch_seconds: float = 15.0
    max_crashes: int = 3
