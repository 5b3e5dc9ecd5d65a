"""``atelier recommend``: the lists of one customer, with the reasons for each place.

What belongs here: the command, its text and its page. What does not: making lists (:mod:`assets.recommendations`),
ranking some of the articles or with a bag, for which no lists are stored (:mod:`dagster_project.commands.serving`).
"""

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atelier.errors import AtelierError
from atelier.report.reasons import WITHOUT_REASONS, are_without_reasons, sentences
from dagster_project.commands.find import open_search
from dagster_project.commands.serving import rank_for, served_day
from dagster_project.terminal import clean
from resources.champions import Champion, champions_of, shown_lists
from resources.retailer import Home

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

    from resources.feature_store import FeatureStore

TABLE = "recommendations"
SHOWN_REASONS = 3
LISTS = """
    SELECT r.model, r.rank, r.article_id, a.name, a.product_type, a.price, r.score, r.fallback, r.served,
           r.model_id, r.reasons
    FROM recommendations AS r LEFT JOIN articles AS a USING (article_id)
    WHERE r.customer_id = $customer AND r.seen = $seen AND r.rank <= $k
    ORDER BY NOT r.served, r.model, r.rank"""


@click.command()
@click.argument("customer")
@click.argument("more_of_bag", nargs=-1, metavar="")
@click.option(
    "--among",
    multiple=True,
    metavar="NAME=VALUE",
    help="Rank, now and by the served model, only articles with this value: category=dress, colour=blue.",
)
@click.option(
    "--bag", multiple=True, metavar="ARTICLE...", help="What goes with these articles, which are in the customer's bag."
)
@click.option("--model", help="Whose list; default: that of every model that has one.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="Of which day; default: the newest.")
@click.option("-k", default=10, show_default=True, type=click.IntRange(min=1), help="How many places.")
@click.option(
    "--seen",
    type=click.Choice(["excluded", "allowed"]),
    default="excluded",
    show_default=True,
    help="Whether lists may hold what the customer had purchased.",
)
@click.option(
    "--page", type=click.Path(path_type=Path, dir_okay=False), help="Write the lists with photographs here, as HTML."
)
def recommend(
    customer: str,
    more_of_bag: tuple[str, ...],
    among: tuple[str, ...],
    bag: tuple[str, ...],
    model: str | None,
    day: datetime | None,
    k: int,
    seen: str,
    page: Path | None,
) -> None:
    """What is recommended to CUSTOMER, and why; with --among and --bag in the place of the customer's lists."""
    home = Home.initialised()
    if more_of_bag and not bag:
        raise click.UsageError(f"{more_of_bag[0]!r} follows the customer: name what is in the bag by --bag")
    if among or bag:
        if model is not None or page is not None:
            raise click.UsageError("--among and --bag rank by the served model, as text: leave --model and --page out")
        _rank_now(home, customer, among, (*bag, *more_of_bag), day, k, seen)
        return
    store = home.open_store()
    ds = day.date() if day else store.last_day(TABLE)
    with store.connect(as_of=ds, tables=[TABLE, "articles", "customers"]) as connection:
        lists = connection.execute(LISTS, {"customer": customer, "seen": seen, "k": k}).df()
        found = lists if model is None else lists[lists["model"] == model]
        if found.empty:
            raise AtelierError(_why_none(connection, customer, model, seen, ds))
        names = _names(connection, found)
    shown = shown_lists(store, ds)
    found = found.assign(served=_shown_places(store, ds, shown, customer, found))
    for name, rows in found.groupby("model", sort=False):
        _print(str(name), rows, names, f"{clean(customer)}, {ds}, purchased articles {seen}")
        if are_without_reasons(rows):
            click.echo(WITHOUT_REASONS)
    if shown is not None and shown.made_on != ds:
        click.echo(f"customers are shown the lists of {shown.model} of {shown.made_on}: {clean(shown.why)}")
        click.echo(f"to see that of this customer: --model {shown.model} --day {shown.made_on}")
    if page is not None:
        _write_page(home, ds, customer, found, page)
        click.echo(f"{page}")


def _shown_places(
    store: "FeatureStore", ds: date, kept: Champion | None, customer: str, lists: "pd.DataFrame"
) -> "pd.Series[bool]":
    """Which places of a day's lists customers are shown, as the view served_recommendations has it.

    Where a champion of an earlier day stays, they are those of the day's fallback, if it passed, and if the champion
    has no list of the customer.
    """
    if kept is None or kept.made_on == ds:
        return lists["served"]
    query = "SELECT 1 FROM recommendations WHERE model = $model AND served AND customer_id = $customer LIMIT 1"
    with store.connect(as_of=kept.made_on, tables=[TABLE]) as connection:
        has_list = connection.execute(query, {"model": kept.model, "customer": customer}).fetchone() is not None
    tonight = champions_of(store, ds).values()
    passed = [each.model_id for each in tonight if not each.serving and each.made_on == ds]
    return lists["served"] & lists["fallback"] & lists["model_id"].isin(passed) & (not has_list)


def _rank_now(
    home: Home, customer: str, among: tuple[str, ...], bag: tuple[str, ...], day: datetime | None, k: int, seen: str
) -> None:
    """Rank for a place in the shop that no stored list is for: a category, or beside what is in the bag."""
    ds = served_day(home, day)
    wrong = [each for each in among if "=" not in each]
    if wrong:
        raise click.UsageError(f"--among {wrong[0]!r} is not NAME=VALUE, such as category=dress")
    articles, search = open_search(home, ds)
    candidates = search.names[search.having(dict(each.split("=", 1) for each in among))].tolist()
    ranked = rank_for(home, ds, customer, candidates, k=k, bag=bag, exclude_seen=seen == "excluded")
    if ranked.empty:
        raise AtelierError(
            f"none of these {len(candidates):,} articles can be ranked for {customer!r}: they are new or purchased"
        )
    shown = ranked.merge(articles, on="article_id")
    where = [f"among {each}" for each in among] + ([f"with {' and '.join(bag)} in the bag"] if bag else [])
    caption = clean(f"{customer}, {', '.join(where)}, {ds}, purchased articles {seen}")
    nothing = {"served": False, "fallback": False, "reasons": None}
    _print(str(ranked["model"].iloc[0]), shown.assign(**nothing), {}, caption)


def _why_none(connection: "duckdb.DuckDBPyConnection", customer: str, model: str | None, seen: str, ds: date) -> str:
    """Why there is no list: an unknown model, an unknown customer, or one who got none."""
    models = [
        name for (name,) in connection.execute("SELECT DISTINCT model FROM recommendations ORDER BY 1").fetchall()
    ]
    if model is not None and model not in models:
        return f"no model {model!r} made lists on {ds}; there are {', '.join(models)}"
    known = "SELECT 1 FROM customers WHERE customer_id = $customer"
    if not connection.execute(known, {"customer": customer}).fetchone():
        return f"there is no customer {customer!r} on {ds}"
    has = f"{model} has" if model else "there is"
    return (
        f"{has} no list of {customer!r} on {ds} with purchased articles {seen}: the serving model "
        "makes lists for every customer, the others for the evaluation sample"
    )


def _names(connection: "duckdb.DuckDBPyConnection", lists: "pd.DataFrame") -> dict[str, str]:
    """The names of the articles that reasons name."""
    reasons = [reason for each in lists["reasons"] for reason in _listed(each)]
    ids = sorted({reason["value"] for reason in reasons if reason["kind"] == "article"})
    named = "SELECT article_id, name FROM articles WHERE article_id IN (SELECT unnest($ids)) AND name IS NOT NULL"
    return dict(connection.execute(named, {"ids": ids}).fetchall())


def _print(model: str, rows: "pd.DataFrame", names: dict[str, str], caption: str) -> None:
    import pandas as pd

    marks = ", ".join(mark for mark in ("served", "fallback") if rows[mark].any())
    click.echo(f"{model} ({marks}): {caption}" if marks else f"{model}: {caption}")
    columns = ["rank", "article_id", "score", "product_type", "name", "price", "reasons"]
    for rank, article, score, product_type, article_name, cost, reasons in rows[columns].to_numpy(dtype=object):
        price = "" if pd.isna(cost) else f"{float(cost):.2f}"
        what = f"{clean(_text(product_type)):16}  {clean(_text(article_name)):40}  {price:>8}"
        click.echo(f"{rank:3d}  {clean(article)}  {score:9.4f}  {what}".rstrip())
        for reason in _listed(reasons)[:SHOWN_REASONS]:
            (said,) = sentences(str(article), [reason], lambda other: names.get(other, "an article"))
            click.echo(f"       {clean(said)} ({reason['weight']:+.4f})")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _listed(reasons: Any) -> list[dict[str, Any]]:
    """The reasons of a place; none where the model gives none."""
    import numpy as np

    return list(reasons) if isinstance(reasons, list | np.ndarray) else []


def _write_page(home: Home, ds: date, customer: str, lists: "pd.DataFrame", page: Path) -> None:
    from assets.attention import attention_of
    from assets.pictures import album
    from atelier.report.page import render_page
    from atelier.report.recommendations import recommendations_section
    from resources.model_store import ModelStore

    shown = lists.assign(customer_id=customer, reasons=lists["reasons"].map(_listed))
    page.parent.mkdir(parents=True, exist_ok=True)
    columns = ["model", "customer_id", "rank", "article_id", "reasons"]
    attention = attention_of(ModelStore(home.storage), ds, [customer])
    section = recommendations_section(shown[columns], album(home, home.open_store(), ds), attention)
    page.write_text(render_page(f"Recommendations for {customer}", ds, [section]), encoding="utf-8")
