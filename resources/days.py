"""The days of a home: which there are, and how a person or a run names one.

What belongs here: turning text into a day of the home, or into the reason why it is none; rows of days that
follow each other. What does not: the settings themselves (:mod:`resources.retailer`), partitions
(:mod:`assets.partitions`).
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from atelier.errors import AtelierError
from resources.retailer import Settings


class NoSuchDay(AtelierError):
    """A text names no day of the home; the message says how a day is written and which days there are."""


def newest_day(settings: Settings) -> date:
    """The last day that there is data of: the source's last one, or yesterday for a live source."""
    if settings.last_day is not None:
        return settings.last_day
    return datetime.now(ZoneInfo(settings.time_zone)).date() - timedelta(days=1)


def day_of(text: str, settings: Settings) -> date:
    """The day that ``text`` names.

    Raises:
        NoSuchDay: it is not written as YYYY-MM-DD, or is before the first day or after the newest one.
    """
    last = newest_day(settings)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise NoSuchDay(f"{text!r} is not a day; write it as YYYY-MM-DD, for example {last}")
    if not settings.first_day <= day <= last:
        raise NoSuchDay(f"{text} is not a day of this home: its days are {settings.first_day} … {last}")
    return day


def runs_of_days(days: Sequence[date]) -> list[list[date]]:
    """Ascending days, cut where one is left out."""
    found: list[list[date]] = []
    for day in days:
        if found and day - found[-1][-1] == timedelta(days=1):
            found[-1].append(day)
        else:
            found.append([day])
    return found
