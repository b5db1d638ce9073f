"""Today is the real day, unless the settings say another."""

from datetime import UTC, date, datetime

from workers import clock
from workers.settings import Settings


def test_today_is_the_settings_or_the_real_one(monkeypatch):
    before = datetime.now(UTC).date()
    assert before <= clock.today(Settings()) <= datetime.now(UTC).date()
    monkeypatch.setenv("FINETUNE_BOT_TODAY", "2027-01-14")
    assert clock.today(Settings()) == date(2027, 1, 14)
