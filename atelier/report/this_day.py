"""The section that opens the page: how the day went, line by line, and what to do where something is wrong.

What belongs here: what is said of a day (:class:`DayFacts`), the marks and words of each line. What does not: reading
the facts from the store, what differs from the day before (:mod:`atelier.report.changes`), the page of all days
(:mod:`atelier.report.index`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from textwrap import shorten

import pandas as pd
from markupsafe import Markup

from atelier.metrics import FEW_CUSTOMERS
from atelier.metrics.segments import ALL
from atelier.report import measured, parts
from atelier.report.parts import count_text, percent_text
from atelier.report.text import values_text

GOOD, WARN, BAD, NONE = "good", "warn", "bad", "none"
#: The sign of each mark; together with the colour, for those who cannot tell colours apart.
SIGNS = {GOOD: "✓", WARN: "!", BAD: "✗", NONE: "–"}
WORDS = {GOOD: "nothing unusual", WARN: "something to look at", BAD: "something failed", NONE: "nothing to say"}

#: The share of customers on the fallback above which the line warns, and the rise since the day before.
MUCH_FALLBACK, FALLBACK_RISE = 0.2, 0.05
#: The share of values without annotation that are abstained above which the line warns.
MUCH_ABSTAINED = 0.5
#: The share of rejected rows of a table above which the line warns.
MANY_REJECTED = 0.01
#: How many names a line lists, and how many letters it takes of what a check found.
NAMED, LONGEST = 3, 240


@dataclass(frozen=True)
class Rows:
    """The rows of a table on the day, and on the days before.

    Attributes:
        today: rows stored; None: the day was not ingested.
        yesterday: of the day before; None where it has none.
        usual: the median of the seven days before; None where no such day was ingested, or for tables that are whole
            every day.
        unusual: whether the check against earlier days finds the number unusual.
        rejected: rows that were not stored.
    """

    today: int | None
    yesterday: int | None = None
    usual: float | None = None
    unusual: bool = False
    rejected: int = 0


@dataclass(frozen=True)
class Served:
    """How many customers a model's lists serve.

    Attributes:
        customers: customers with a list.
        fallback: those of them whose list is the fallback's, because the model cannot serve them.
        without_history: those of them who have never done anything that the model learns from.
    """

    customers: int
    fallback: int
    without_history: int

    @property
    def share(self) -> float:
        """The share of customers on the fallback."""
        return self.fallback / max(self.customers, 1)


@dataclass(frozen=True)
class DayFacts:
    """What is said of a day.

    Attributes:
        ds: the day.
        horizon: the days of behaviour by which a day's lists are judged.
        rows: by table, interactions first.
        not_ingested: earlier days without interactions, in order.
        customers: the customers of the day.
        serving: the model whose lists every customer gets.
        served: whom the lists of ``serving`` and of the models that could be served in its place serve, by model; a
            model that has no lists is absent.
        served_before: of the model ``serving`` on the newest earlier day that has lists, and that day.
        kept: where tonight's lists have not passed the gates, the model and the day whose lists are shown instead, and
            how many customers have one; None: tonight's are shown.
        values: attribute, annotated, predicted, abstained (counts); None: no values were made.
        articles: the articles of the day.
        without_neighbours: how many of them have no similar article, by model; None: none were computed.
        without_any: how many have none by any model.
        missing: why what was not made was not made, by asset.
        remake: the command that makes it.
        checks: table, check, success, blocking, observed, of every check that ran for the day.
        metrics: the table offline_metrics of the day; None: nothing was judged on it.
        unjudged: where nothing was judged: why, and what to run.
        judged_later: what judges the lists of this day.
        before_first_lists: whether nothing could be judged on the day, because no day before it had lists.
    """

    ds: date
    horizon: int
    rows: Mapping[str, Rows]
    customers: int
    serving: str
    served: Mapping[str, Served]
    values: pd.DataFrame | None
    articles: int
    without_neighbours: Mapping[str, int] | None
    without_any: int
    checks: pd.DataFrame
    metrics: pd.DataFrame | None
    unjudged: str = ""
    judged_later: str = ""
    before_first_lists: bool = False
    not_ingested: Sequence[date] = ()
    served_before: tuple[date, Served] | None = None
    kept: tuple[str, date, int] | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    remake: str = ""


@dataclass(frozen=True)
class Line:
    """One line of the summary.

    Attributes:
        subject: what it is about; the same on every day.
        mark: ``good``, ``warn``, ``bad``, or ``none`` where there is nothing to judge.
        figure: its figure in a word or two, for the page of all days.
        text: what is said.
        anchor: the section that tells more.
        todo: what to do; commands stand between backquotes.
    """

    subject: str
    mark: str
    figure: str
    text: str
    anchor: str
    todo: str = ""


def status(lines: Sequence[Line]) -> str:
    """The worst mark of the lines: ``bad``, ``warn`` or ``good``."""
    marks = {line.mark for line in lines}
    return next((mark for mark in (BAD, WARN) if mark in marks), GOOD)


def day_lines(facts: DayFacts) -> list[Line]:
    """The summary of a day, in the order in which it is read."""
    return [make(facts) for make in _LINES]


@parts.section("This day", "this-day", "Nothing is known of this day.")
def this_day_section(lines: Sequence[Line], opening: Iterable[str] = ()) -> Iterator[str]:
    """The status of the day, and a line for each subject with a mark, a link to its section, and what to do.

    Args:
        lines: as :func:`day_lines` makes them.
        opening: what stands between the status and the lines.
    """
    worst = status(lines)
    subjects = [line.subject.lower() for line in lines if line.mark == worst]
    about = "" if worst == GOOD else f": {', '.join(subjects)}"
    yield parts.note(f"{SIGNS[worst]} {WORDS[worst].capitalize()}{about}.", worst)
    yield from opening
    yield Markup('<ul class="lines">{}</ul>\n').format(Markup("").join(map(_item, lines)))


def _item(line: Line) -> Markup:
    todo = Markup('<p class="todo">{}</p>').format(parts.with_code(line.todo)) if line.todo else ""
    return Markup(
        '<li><span class="badge {}" role="img" aria-label="{}">{}</span>'
        '<p><a href="#{}"><strong>{}</strong></a> {}</p>{}</li>'
    ).format(line.mark, WORDS[line.mark], SIGNS[line.mark], line.anchor, line.subject, line.text, todo)


# The lines ---------------------------------------------------------------------------------------------------------


def _rows(facts: DayFacts) -> Line:
    """What was ingested, against the days before."""
    absent = [table for table, rows in facts.rows.items() if rows.today is None]
    unusual = [table for table, rows in facts.rows.items() if rows.unusual]
    empty = [table for table in ("interactions", "articles", "customers") if _today(facts, table) == 0]
    command = f"`{_ingest_command(facts.ds)}`"
    todo = []
    if absent:
        todo.append(f"Not ingested: {', '.join(absent)}. Run {command}.")
    if empty or unusual:
        named = ", ".join(dict.fromkeys([*empty, *unusual]))
        todo.append(f"Look at the source's files of {named}; when they are complete, run {command} again.")
    if facts.not_ingested:
        first, last = facts.not_ingested[0], facts.not_ingested[-1]
        todo.append(
            f"{len(facts.not_ingested)} earlier days have no interactions: run `dg launch --job ingest"
            f" --partition-range {first}...{last}`."
        )
    mark = BAD if absent else WARN if todo else GOOD
    figure = count_text(_today(facts, "interactions"))
    return Line("Rows", mark, figure, f"{_rows_text(facts.rows)}.", "ingest", " ".join(todo))


def _ingest_command(ds: date) -> str:
    return f"dg launch --job ingest --partition {ds}"


def _today(facts: DayFacts, table: str) -> int | None:
    rows = facts.rows.get(table)
    return rows.today if rows else None


def _rows_text(rows: Mapping[str, Rows]) -> str:
    """The rows of tables beside those of the days before; what is as it was yesterday stands last."""
    other, same = [], []
    for table, counted in rows.items():
        text = f"{table.replace('_', ' ')} {count_text(counted.today)}"
        before = [] if counted.yesterday is None else [f"{count_text(counted.yesterday)} yesterday"]
        if counted.usual is not None:
            before.append(f"usually {count_text(counted.usual)}")
        if counted.usual is None and counted.today == counted.yesterday is not None:
            same.append(text)
        else:
            other.append(text + (f" ({', '.join(before)})" if before else ""))
    return "; ".join([*other, f"as yesterday: {', '.join(same)}"] if same else other)


def _rejected(facts: DayFacts) -> Line:
    rejected = {table: rows.rejected for table, rows in facts.rows.items() if rows.rejected}
    stored = {table: rows.today or 0 for table, rows in facts.rows.items()}
    many = [table for table, rows in rejected.items() if rows / (rows + stored[table]) > MANY_REJECTED]
    total = sum(rejected.values())
    everything = total + sum(stored.values())
    of = ", ".join(f"{table.replace('_', ' ')} {count_text(rows)}" for table, rows in rejected.items())
    text = f"{count_text(total)} of {count_text(everything)} rows" + (f": {of}." if of else ".")
    todo = (
        f"More than {percent_text(MANY_REJECTED)} of {', '.join(many)}: the section lists the reasons, the table "
        f"`rejected` every row. When the files are mended, run `{_ingest_command(facts.ds)}` again."
        if many
        else ""
    )
    return Line("Rejected", WARN if many else GOOD, count_text(total), text, "ingest", todo)


def _customers(facts: DayFacts) -> Line:
    """Who is served by the model, who by the fallback, and why."""
    if facts.kept is not None:
        model, day, customers = facts.kept
        text = (
            f"Tonight's lists have not passed the gates: those of {model} of {day} are shown, which "
            f"{count_text(customers)} of {count_text(facts.customers)} customers have. Others are shown tonight's list "
            "of the fallback, if that passed."
        )
        return Line("Customers", BAD, f"lists of {day}", text, "gates")
    served = facts.served.get(facts.serving)
    if served is None:
        text = f"Nobody has a list of {facts.serving}."
        return Line("Customers", BAD, "no lists", text, "recommendations", _remake(facts))
    by_model = served.customers - served.fallback
    text = (
        f"{count_text(by_model)} of {count_text(served.customers)} customers have a list of {facts.serving}; "
        f"{count_text(served.fallback)} ({percent_text(served.share)}) are on the fallback"
        f"{_why(served, facts.serving)}."
    )
    without = facts.customers - served.customers
    rose, todo = False, []
    if without > 0:
        text += f" {count_text(without)} have no list at all."
        todo.append(_retrain(facts))
    if facts.served_before is not None:
        day, before = facts.served_before
        rose = served.share - before.share > FALLBACK_RISE
        text += f" On {day}: {percent_text(before.share)}."
    much = served.share > MUCH_FALLBACK
    if much or rose:
        todo.append(_less_fallback(facts, served))
    mark = BAD if without > 0 else WARN if much or rose else GOOD
    return Line("Customers", mark, f"{percent_text(served.share)} fallback", text, "recommendations", " ".join(todo))


def _why(served: Served, model: str) -> str:
    if not served.fallback:
        return ""
    known = served.fallback - served.without_history
    reasons = [f"{count_text(served.without_history)} have done nothing yet that {model} learns from"]
    if known:
        reasons.append(f"{count_text(known)} have, but {model} cannot use it")
    return f": {', '.join(reasons)}"


def _less_fallback(facts: DayFacts, served: Served) -> str:
    """What to do about many customers on the fallback: they leave it by what they do, or another model serves them."""
    others = {name: other.share for name, other in facts.served.items() if name != facts.serving and other.customers}
    best = min(others, key=lambda name: (others[name], name), default=None)
    text = "Nothing to run: each leaves the fallback with the first interaction that the model learns from."
    if best is not None and others[best] < served.share - FALLBACK_RISE:
        text += (
            f" {best} leaves {percent_text(others[best])} of those it was asked for to the fallback: a home of its own,"
            f" made by `atelier init --serving-model {best}`, serves its lists."
        )
    return text


def _values(facts: DayFacts) -> Line:
    """Where the values of attributes come from."""
    if facts.values is None:
        return Line("Values", BAD, "none", "No attribute was predicted.", "attributes", _remake(facts))
    frame = facts.values
    share = int(frame["abstained"].sum()) / max(int(frame[["predicted", "abstained"]].to_numpy().sum()), 1)
    text = values_text(frame)
    much = share > MUCH_ABSTAINED
    todo = ""
    if much:
        rates = frame["abstained"] / (frame["predicted"] + frame["abstained"]).clip(lower=1)
        order = frame.assign(rate=rates).sort_values(["rate", "attribute"], ascending=[False, True], kind="stable")
        named = [f"{name} ({percent_text(rate)})" for name, rate in order[["attribute", "rate"]].head(NAMED).to_numpy()]
        todo = f"Annotate more articles, first of {', '.join(named)}: attributes with few labels abstain from all."
    mark = WARN if much else GOOD
    return Line("Values", mark, f"{percent_text(share)} abstained", text, "attributes", todo)


def _neighbours(facts: DayFacts) -> Line:
    without = facts.without_neighbours
    if without is None:
        return Line("Neighbours", BAD, "none", "No similar articles were computed.", "neighbours", _remake(facts))
    by_model = ", ".join(f"{model} {count_text(number)}" for model, number in without.items())
    text = (
        f"{count_text(facts.without_any)} of {count_text(facts.articles)} articles have no similar article by any model"
        f" (by model: {by_model or parts.NONE})."
    )
    todo = (
        "Look them up in articles: without text, photograph and interactions nothing is known of them that could be "
        "compared."
    )
    mark = WARN if facts.without_any else GOOD
    figure = f"{count_text(facts.without_any)} without"
    return Line("Neighbours", mark, figure, text, "neighbours", todo if facts.without_any else "")


def _models(facts: DayFacts) -> Line:
    if not facts.missing:
        return Line("Models", GOOD, "all made", "All models, lists and neighbours were made.", "leaderboard")
    text = f"Not made: {', '.join(facts.missing)}."
    return Line("Models", BAD, f"{len(facts.missing)} missing", text, "missing", _remake(facts))


def _remake(facts: DayFacts) -> str:
    """What makes that which is missing; where no reason is known, the day was not run."""
    return f"Mend the cause, then run `{facts.remake}`." if facts.missing else _retrain(facts)


def _retrain(facts: DayFacts) -> str:
    return f"Run `dg launch --job daily_retrain --partition {facts.ds}`."


def _checks(facts: DayFacts) -> Line:
    checks = facts.checks
    if checks.empty:
        return Line("Checks", NONE, "none", "No check has run yet.", "checks")
    success, blocking = (checks[name].astype(bool) for name in ("success", "blocking"))
    failed, warned = checks[~success & blocking], checks[~success & ~blocking]
    text = f"{len(failed)} failed, {len(warned)} warned, {int(success.sum())} passed."
    worst = pd.concat([failed.sort_values(["table", "check"]), warned.sort_values(["table", "check"])])
    named = worst.head(NAMED).to_dict("records")
    said = [f"{row['table']}, {row['check']}: {_short(row['observed'])}." for row in named]
    if len(worst) > NAMED:
        said.append(f"And {len(worst) - NAMED} more.")
    mark = BAD if len(failed) else WARN if len(warned) else GOOD
    figure = f"{len(failed)} ✗ {len(warned)} !" if len(worst) else "all passed"
    return Line("Checks", mark, figure, text, "checks", " ".join(said))


def _short(observed: object) -> str:
    """What a check found, cut where a broken contract would fill the page; the section on checks says all of it."""
    return shorten(parts.plain(observed), LONGEST, placeholder=" …").rstrip(".")


def _judged(facts: DayFacts) -> Line:
    """Whether the lists of ``ds − horizon`` were judged on the day, on whom and by what."""
    metrics = facts.metrics
    if metrics is None or metrics.empty:
        mark = NONE if facts.before_first_lists else WARN
        todo = " ".join(filter(None, [facts.unjudged, facts.judged_later]))
        return Line("Judged", mark, "no", "Nothing was judged on this day.", "leaderboard", todo)
    origin, k = facts.ds - timedelta(days=facts.horizon), measured.nearest_k(metrics, measured.DAILY_K)
    best = measured.ranked_models(metrics, k)[0]
    rows = measured.chosen(metrics, metric="precision", k=k, segment=ALL)
    customers = int(rows["customers"].max())
    row = measured.chosen(rows, model=best, seen=measured.evaluations(metrics)[0]).iloc[0]
    text = (
        f"The lists made on {origin} were judged by what {count_text(customers)} customers did on "
        f"{origin + timedelta(days=1)} … {facts.ds}. Best: {best}, precision@{k} "
        f"{parts.interval_text(row['value'], row['standard_error'])}."
    )
    few = customers < FEW_CUSTOMERS
    little = f"Below {FEW_CUSTOMERS} customers the figures mean little." if few else ""
    todo = " ".join(filter(None, [little, facts.judged_later]))
    figure = f"{best} {parts.figure_text(row['value'])}"
    return Line("Judged", WARN if few else GOOD, figure, text, "leaderboard", todo)


_LINES: tuple[Callable[[DayFacts], Line], ...] = (
    _rows,
    _rejected,
    _models,
    _customers,
    _values,
    _neighbours,
    _checks,
    _judged,
)
