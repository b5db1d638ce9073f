"""How often a run at a vendor is asked about, and how often its card is edited for figures alone.

Both grow with what is watched, so that many runs are no more work a second than some: 10 s (as the settings have it)
while a run is young or has news, growing to 60 s while it is quiet, and longer only where more than 4,800 are watched.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from providers.errors import RateLimited

SHORTEST, LONGEST = 10.0, 60.0
"""Seconds between two polls of a run, unless the settings say otherwise."""
QUIET_SHARE = 6.0
"""A run that has been quiet for so many intervals is asked about that much less often: 10 s after a minute."""
POLLS_A_SECOND = 80.0
"""What one installation asks for together, whatever each run would like."""
EDITS_A_MINUTE = 30.0
"""Edits of cards for figures alone, of all runs of a workspace together; Slack takes about 50 of all kinds."""
JITTER = 0.1
REFUSED_SECONDS = 300.0
"""Between two polls while the credentials are refused."""
AWAY_SHORTEST, AWAY_LONGEST = 30.0, 120.0
"""Between two polls of a run whose vendor does not answer."""
LIMITED_SECONDS = 30.0
"""Before the next poll where a vendor that wants to be left alone does not say how long."""
LONGEST_ASKED = 3600.0
"""A vendor that asks to be left alone for longer is asked after this all the same."""


@dataclass(frozen=True)
class Pace:
    """What the intervals depend on: how many runs are watched, how many of each workspace, the settings."""

    watched: int = 1
    of_team: Mapping[str, int] = field(default_factory=dict)
    shortest: float = SHORTEST

    def poll_in(self, quiet: float) -> float:
        """Seconds until a run is to be asked about again that has had no news for `quiet` seconds."""
        wanted = min(LONGEST, max(self.shortest, quiet / QUIET_SHARE))
        return jittered(max(wanted, self.watched / POLLS_A_SECOND))

    def edits_apart(self, team_id: str) -> float:
        """Seconds between two edits of one card of this workspace for figures alone."""
        many = self.of_team.get(team_id, 1)
        return 0.0 if many <= 1 else many * 60.0 / EDITS_A_MINUTE


def away_in(lasted: float, asked: float | None) -> float:
    """Seconds until a vendor is asked again that has not answered for `lasted` seconds, and perhaps said how long."""
    return jittered(max(asked_for(asked), min(AWAY_LONGEST, max(AWAY_SHORTEST, lasted / QUIET_SHARE))))


def limited_for(error: RateLimited) -> float:
    """Seconds that a vendor is left alone that wants us to slow down."""
    return max(LIMITED_SECONDS, asked_for(error.retry_after))


def asked_for(seconds: float | None) -> float:
    """How long a vendor wants to be left alone, within reason. Untrusted: it may be no number at all."""
    return min(LONGEST_ASKED, seconds) if seconds is not None and seconds > 0 else 0.0


def jittered(seconds: float) -> float:
    """About so long, so that what began together does not stay together."""
    return seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 -- no secret
