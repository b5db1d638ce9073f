"""The day that vendors' dates are compared with."""

from datetime import UTC, date, datetime

from workers.settings import Settings


def today(settings: Settings) -> date:
    """Today in UTC, unless the settings say another day."""
    return settings.today or datetime.now(UTC).date()
