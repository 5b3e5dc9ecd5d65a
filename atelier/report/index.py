"""The page of all days: one row for each, with its status, its figures and a link to its page.

What belongs here: what is remembered of a day (:class:`DayRecord`), its row, links between the pages. What does not:
which files there are (:mod:`assets.report_index`), the summary of a day (:mod:`atelier.report.this_day`).
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from markupsafe import Markup

from atelier.errors import AtelierError
from atelier.report import parts
from atelier.report.page import Link, render_page
from atelier.report.this_day import BAD, GOOD, NONE, SIGNS, WARN, Line, status

INDEX = "index.html"
#: What is said of the status of a day.
STATUSES = {GOOD: "✓ fine", WARN: "! look", BAD: "✗ failed", NONE: "– not known"}


class DayRecordError(AtelierError):
    """What was remembered of a day cannot be read; the message says what to do."""


@dataclass(frozen=True)
class DayRecord:
    """What the page of all days remembers of one day.

    Attributes:
        ds: the day.
        status: the worst mark of its lines; ``none``: nothing but its page is known.
        figures: mark and figure by subject, in the order of its lines.
    """

    ds: date
    status: str = NONE
    figures: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, ds: date, lines: Sequence[Line]) -> "DayRecord":
        """The record of a day with these lines."""
        return cls(ds, status(lines), {line.subject: (line.mark, line.figure) for line in lines})

    def to_json(self) -> str:
        """The record as a JSON document, the same bytes for the same record."""
        figures = [{"subject": name, "mark": mark, "figure": text} for name, (mark, text) in self.figures.items()]
        document = {"ds": self.ds.isoformat(), "status": self.status, "figures": figures}
        return json.dumps(document, ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, name: str) -> "DayRecord":
        """The record in ``text``; ``name`` is its file, for the message.

        Raises:
            DayRecordError: the text is no record.
        """
        try:
            read = json.loads(text)
            figures = {str(each["subject"]): (str(each["mark"]), str(each["figure"])) for each in read["figures"]}
            record = cls(date.fromisoformat(read["ds"]), str(read["status"]), figures)
            unknown = {record.status, *(mark for mark, _ in figures.values())} - SIGNS.keys()
            if unknown:
                raise ValueError(f"no such mark: {', '.join(sorted(unknown))}")
        except (ValueError, KeyError, TypeError) as error:
            raise DayRecordError(
                f"{name} is no record of a day ({error}); delete it, or make the report of its day again"
            ) from error
        return record


def page_name(ds: date) -> str:
    """The file of a day's page."""
    return f"ds={ds}.html"


def links_of(ds: date, days: Sequence[date]) -> list[Link]:
    """The links of a day's page: the day before it that has a page, all days, and the day after it.

    A page is written when the next day does not exist yet, and must not change when it does: so the link to the next
    day leads to its row on the page of all days, which knows it.

    Args:
        ds: the day.
        days: days that have a page.
    """
    earlier = [day for day in days if day < ds]
    before = [Link(page_name(max(earlier)), f"← {max(earlier)}", "prev")] if earlier else []
    return [*before, Link(f"{INDEX}#day-{ds}", "All days", "up"), Link(f"{INDEX}#after-{ds}", "Next day →", "next")]


def index_page(title: str, records: Sequence[DayRecord], superseded: Collection[date] = ()) -> str:
    """The page of all days as one HTML document, the newest day first; the same bytes for the same records.

    Args:
        title: the page's heading.
        records: one for each day that has a page.
        superseded: the days that were made from data which have been replaced since.
    """
    newest = sorted(records, key=lambda record: record.ds, reverse=True)
    shown = f"{newest[-1].ds} … {newest[0].ds}" if newest else "no day yet"
    return render_page(
        title, shown, [days_section(newest, superseded)], footer="Made by Atelier, from what each day's page says."
    )


@parts.section("All days", "days", "No page has been written yet.", "daily_retrain")
def days_section(records: Sequence[DayRecord], superseded: Collection[date] = ()) -> Iterator[str]:
    """A row for each day.

    Args:
        records: the newest first.
        superseded: as :func:`index_page`; where there are any, a column says which.
    """
    yield Markup('<p id="after-{}">The newest day stands first; a day leads to its page.</p>\n').format(records[0].ds)
    subjects = list(dict.fromkeys(subject for record in records for subject in record.figures))
    later = [*(record.ds for record in records[1:]), None]
    rows = [
        [
            _day(record.ds, before),
            parts.Badge(STATUSES[record.status], record.status),
            *([_data(record.ds, superseded)] if superseded else []),
            *_figures(record, subjects),
        ]
        for record, before in zip(records, later, strict=True)
    ]
    heads = ["Day", "Status", *(["Data"] if superseded else []), *subjects]
    if superseded:
        said = "{} days were made from data that have been replaced since; `atelier superseded` says from which."
        yield Markup("<p>{}</p>\n").format(said.format(len(set(superseded))))
    yield parts.table("The status of each day, and the figure of each line of its summary.", heads, rows, heads)


def _day(ds: date, before: date | None) -> Markup:
    """The link to a day's page; it is also where the page before it leads to as its next day."""
    after = Markup('<span id="after-{}"></span>').format(before) if before else ""
    return Markup('{}<a class="keep" id="day-{}" href="{}">{}</a>').format(after, ds, page_name(ds), ds)


def _data(ds: date, superseded: Collection[date]) -> parts.Badge:
    return parts.Badge("! superseded", WARN) if ds in superseded else parts.Badge("✓ as stored", GOOD)


def _figures(record: DayRecord, subjects: Sequence[str]) -> list[str]:
    cells = []
    for subject in subjects:
        mark, figure = record.figures.get(subject, (NONE, ""))
        cells.append(f"{SIGNS[mark]} {figure}".strip())
    return cells
