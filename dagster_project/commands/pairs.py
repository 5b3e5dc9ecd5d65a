"""``atelier pairs``: ask people which articles go together, and hand their answers to the next run.

What belongs here: the two commands. What does not: choosing pairs (:mod:`atelier.outfits.worth_asking`), the page
(:mod:`atelier.report.pairs`), the landing zone's files (:mod:`resources.outfit_answers`).
"""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from atelier.complement_lists import LOOK, TABLE
from atelier.errors import AtelierError
from dagster_project.commands.together import open_outfit_model
from resources.retailer import Home

if TYPE_CHECKING:
    import pandas as pd

    from atelier.sources import Source

WINDOW = 28
"""Days of interactions that say how often an article is looked at."""


@click.group()
def pairs() -> None:
    """Ask people which articles go together; the outfit model learns from what they answer."""


@pairs.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("pairs"), show_default=True, help="The folder.")
@click.option("--count", default=40, show_default=True, type=click.IntRange(min=1), help="Questions, at most.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="From the lists of which day; default: the newest.")
def ask(out: Path, count: int, day: datetime | None) -> None:
    """Write the pairs whose answer would teach most: pairs.html with photographs, and pairs.csv."""
    from assets.pictures import album
    from atelier.csv_rows import without_formulas
    from atelier.report.pairs import render_pairs

    home = Home.initialised()
    store = home.open_store()
    ds = day.date() if day else store.last_day(TABLE)
    questions = questions_of(home, ds, count)
    if questions.empty:
        raise AtelierError(f"every listed pair of {ds} is answered, or no look was completed: there is nothing to ask")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise AtelierError(f"{out}: it, or a part of its path, is a file; name a folder with --out") from error
    known = album(home, store, ds)
    page = render_pairs(questions, known, "What goes together", ds.isoformat(), "answers.csv")
    (out / "pairs.html").write_text(page, encoding="utf-8")
    named = questions.assign(
        name=questions["article_id"].map(known.name),
        complement_name=questions["complement_article_id"].map(known.name),
        answer="",
    )
    texts = ["article_id", "complement_article_id", "name", "complement_name"]
    named[texts] = named[texts].apply(without_formulas)
    named.to_csv(out / "pairs.csv", index=False, float_format="%.4g")
    click.echo(f"{len(questions)} pairs of {ds}: {out / 'pairs.html'} to look at, {out / 'pairs.csv'} to fill in")
    click.echo("then: atelier pairs answer FILE")


@pairs.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="From which day on they hold; default: today.")
def answer(file: Path, day: datetime | None) -> None:
    """Put the answers of FILE into the landing zone; the runs of that day and later ones learn from them."""
    from atelier.sources import read
    from resources.outfit_answers import add_answers, check_articles, read_answers

    home = Home.initialised()
    source = home.open_source()
    ds = _day_of_answers(home, source, day)
    answers = read_answers(file)
    check_articles(file, answers, read(source, "articles", ds)["article_id"], ds)
    written = add_answers(source.root, answers, ds)
    counts = answers["answer"].value_counts()
    click.echo(f"{', '.join(f'{counts[each]} {each}' for each in sorted(counts.index))}: {written}")
    click.echo(f"they are read by ingest of {ds}, and learned from by daily_retrain of {ds}")


def _day_of_answers(home: Home, source: "Source", day: datetime | None) -> date:
    """The day from which answers hold: one that the source has, and not one that is yet to come."""
    newest = today(home)
    ds = day.date() if day else newest
    if not source.first_day <= ds <= newest:
        raise AtelierError(
            f"answers cannot hold from {ds} on: the days of this home are {source.first_day} to {newest}; correct "
            "--day, or leave it out"
        )
    return ds


def questions_of(home: Home, ds: date, count: int) -> "pd.DataFrame":
    """The pairs of a day that are worth asking, see :func:`atelier.outfits.worth_asking.worth_asking`."""
    from atelier.outfits.worth_asking import worth_asking
    from resources.outfit_answers import known_answers

    model = open_outfit_model(home, ds)
    with home.open_store().connect(as_of=ds, tables=[TABLE, "interactions"]) as connection:
        listed = connection.execute(
            "SELECT article_id, complement_article_id, rank FROM complementary_articles"
            " WHERE ds = $ds AND list = $look ORDER BY ALL",
            {"ds": ds, "look": LOOK},
        ).df()
        looked_at = connection.execute(
            "SELECT article_id, count(*) AS times FROM interactions WHERE ds > $first GROUP BY ALL ORDER BY ALL",
            {"first": ds - timedelta(days=WINDOW)},
        ).df()
    said = known_answers(home.open_source().root, today(home)).groupby("outfit_id")["article_id"].agg(set)
    answered = {(min(ids), max(ids)) for ids in said if len(ids) == 2}
    return worth_asking(model, listed, looked_at.set_index("article_id")["times"], answered, count)


def today(home: Home) -> date:
    """The day in the retailer's time zone, or the last day of a source that has ended."""
    from zoneinfo import ZoneInfo

    now = datetime.now(ZoneInfo(home.settings.time_zone)).date()
    last = home.open_source().last_day
    return now if last is None else min(now, last)
