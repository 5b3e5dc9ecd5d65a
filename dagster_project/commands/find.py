"""``atelier find``: search in the catalogue by words and values, for a customer too.

What belongs here: the command. What does not: the search (:mod:`atelier.attributes.catalogue_search`), ranking for a
customer (:mod:`dagster_project.commands.serving`).
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

import click

from dagster_project.commands.serving import rank_for, served_day
from dagster_project.terminal import clean
from resources.retailer import Home

if TYPE_CHECKING:
    import pandas as pd

    from atelier.attributes.catalogue_search import CatalogueSearch, Match

VALUES = "predicted_attributes"


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("query")
@click.argument("filters", nargs=-1, type=click.UNPROCESSED, metavar="[--ATTRIBUTE VALUE]...")
@click.option("--customer", help="Rank the hits for this customer, by the served recommender.")
@click.option("--uncertain", is_flag=True, help="Count values that the model abstained from, too.")
@click.option("--all", "every", is_flag=True, help="Also articles that are out of stock.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="As of which day; default: the newest.")
@click.option("-k", default=10, show_default=True, type=click.IntRange(min=1), help="How many.")
def find(
    query: str,
    filters: tuple[str, ...],
    customer: str | None,
    uncertain: bool,
    every: bool,
    day: datetime | None,
    k: int,
) -> None:
    """Articles by the words of QUERY; --ATTRIBUTE VALUE (--color blue, --brand X) keeps those with that value."""
    home = Home.initialised()
    if customer is not None:
        ds = served_day(home, day)
    else:
        ds = day.date() if day else home.open_store().last_day("articles")
    articles, search = open_search(home, ds, uncertain=uncertain, every=every)
    hits = search.find(query, parse_filters(filters), None)
    if unknown := search.unknown_words(query):
        click.echo(f"no article has the word {', '.join(map(clean, unknown))}", err=True)
    order = "best match first"
    if customer is not None and len(hits):
        hits = for_customer(home, ds, customer, hits)
        order = f"ranked for {clean(customer)} by {hits['model'].iloc[0]}"
    words = len(search.words(query))
    click.echo(f"{len(hits):,} articles as of {ds}, {order}")
    shown = hits.head(k).merge(articles[["article_id", "name", "product_type"]], on="article_id")
    columns = ["article_id", "words", "product_type", "name", "matches"]
    for place, (article, count, kind, name, matches) in enumerate(shown[columns].to_numpy(dtype=object), 1):
        what = f"{clean(_text(kind)):16}  {clean(_text(name))}"
        click.echo(f"{place:3d}  {clean(article)}  {count} of {words} words  {what}".rstrip())
        click.echo(f"       {clean('; '.join(map(match_text, matches)))}")


def open_search(
    home: Home, ds: date, *, uncertain: bool = False, every: bool = False
) -> "tuple[pd.DataFrame, CatalogueSearch]":
    """The articles of a day, in stock unless ``every``, and the search in them; without predictions in texts alone.

    The search is made once of the same articles and values, and kept in the home.
    """
    from atelier.attributes.catalogue_search import CatalogueSearch
    from resources.search_files import kept_search

    store = home.open_store()
    articles = store.read("articles", ds).to_pandas()
    articles = articles if every else articles[articles["in_stock"]].reset_index(drop=True)
    predicted = store.pointer(VALUES, ds) is not None
    if not predicted:
        click.echo(f"no attributes were predicted for {ds}: only texts and columns are searched", err=True)

    def build() -> CatalogueSearch:
        values = store.read(VALUES, ds).to_pandas() if predicted else None
        return CatalogueSearch.build(articles, values, uncertain=uncertain)

    tables = ("articles", VALUES) if predicted else ("articles",)
    versions = {table: store.data_version(table, ds) for table in tables}
    made_from = versions | {"uncertain": uncertain, "every": every}
    return articles, kept_search(home.root, made_from, build, lambda said: click.echo(clean(said), err=True))


def parse_filters(given: Sequence[str]) -> dict[str, str]:
    """``--color blue --brand=X`` as names and values.

    Raises:
        click.UsageError: an option without a value, or a word where an option is expected.
    """
    filters, left = {}, list(given)
    while left:
        name = left.pop(0)
        if not name.startswith("--"):
            raise click.UsageError(f"{name!r} is no option: write all words of the query between one pair of quotes")
        name, equals, value = name.removeprefix("--").partition("=")
        if not equals and (not left or left[0].startswith("--")):
            raise click.UsageError(f"--{name} needs a value")
        filters[name.replace("-", "_")] = value if equals else left.pop(0)
    return filters


def for_customer(home: Home, ds: date, customer: str, hits: "pd.DataFrame") -> "pd.DataFrame":
    """The hits that have the most words of the query, as the served model ranks them for a customer.

    What the model cannot rank, because nobody has bought it yet for example, or what the customer has already bought,
    stands behind, in the order of the search.
    """
    import pandas as pd

    best = hits[hits["words"] == hits["words"].max()]
    ranked = rank_for(home, ds, customer, best["article_id"].tolist(), k=len(best))
    first = ranked[["article_id", "model"]].merge(best, on="article_id")
    rest = best[~best["article_id"].isin(first["article_id"])].assign(model="the search alone")
    ranked_first: pd.DataFrame = pd.concat([first, rest], ignore_index=True)
    return ranked_first


def match_text(match: "Match") -> str:
    """A match in words: ``blue: colour blue, predicted 0.91``."""
    said = f"{match.word}: {match.part} {match.value}".rstrip()
    if match.source == "catalogue":
        return said
    return f"{said}, {match.source}" + ("" if match.confidence is None else f" {match.confidence:.2f}")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
