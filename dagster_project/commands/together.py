"""``atelier together``: what goes with an article, what completes an outfit, and outfits around an article.

What belongs here: the command, and opening a day's outfit model. What does not: the lists of a day
(:mod:`assets.complements`), completing outfits (:mod:`atelier.outfits.completion`), asking people about pairs
(:mod:`dagster_project.commands.pairs`).
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

import click

from atelier.complement_lists import BOUGHT, LISTS, LOOK, TABLE
from atelier.errors import AtelierError, PartitionMissing
from dagster_project.terminal import clean
from resources.champions import champions_until
from resources.retailer import Home

if TYPE_CHECKING:
    import pandas as pd

    from atelier.outfits import OutfitModel

MODEL = "outfit_model"
SHOWN_PAIRS = 3
NONE = {
    LOOK: "none: the day has no outfit model, or outfits combine its product type with nothing in stock",
    BOUGHT: "none: nothing in stock of another product type was bought with it often enough",
}


@click.command()
@click.argument("articles", nargs=-1, required=True, metavar="ARTICLE...")
@click.option("--outfits", type=click.IntRange(min=1), metavar="N", help="Make N different outfits around one ARTICLE.")
@click.option("--size", type=click.IntRange(min=2), help="With --outfits: articles of an outfit; default: 4.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="As of which day; default: the newest with lists.")
@click.option("-k", default=6, show_default=True, type=click.IntRange(min=1), help="Articles of a list, at most.")
def together(articles: tuple[str, ...], outfits: int | None, size: int | None, day: datetime | None, k: int) -> None:
    """What goes with ARTICLE, and why; of several ARTICLEs, which are an outfit, what completes it.

    For one article both lists of the day are shown. Everything else is computed now, by the day's outfit model and from
    what is in stock.
    """
    from atelier.ids import preview

    asked = list(dict.fromkeys(articles))
    if outfits is not None and len(asked) > 1:
        raise click.UsageError("--outfits makes outfits around one article: name one ARTICLE")
    if outfits is None and size is not None:
        raise click.UsageError("--size is the size of the outfits that --outfits makes: add --outfits N")
    home = Home.initialised()
    store = home.open_store()
    ds = day.date() if day else store.last_day(TABLE)
    sold = store.read("articles", ds).to_pandas().set_index("article_id")
    if strangers := [article for article in asked if article not in sold.index]:
        raise AtelierError(f"there is no article {preview(strangers, len(strangers))} on {ds}")
    if outfits is not None:
        _print_outfits(open_outfit_model(home, ds), asked[0], sold, ds, outfits, size or 4)
    elif len(asked) > 1:
        _print_completed(open_outfit_model(home, ds), asked, sold, ds, k)
    else:
        _print_lists(home, asked[0], sold, ds, k)


def open_outfit_model(home: Home, ds: date) -> "OutfitModel":
    """The outfit model of a day: tonight's, or where that failed its gates the one that passed last.

    Raises:
        AtelierError: the day was trained, and had too little to learn from.
        PartitionMissing: the day was not trained; the message names the job that does it.
    """
    from atelier.outfits import OutfitModel
    from resources.model_store import ModelStore

    models = ModelStore(home.storage)
    try:
        champion = champions_until(home.open_store(), ds).get((MODEL, False))
        pointer = champion.model_id if champion else models.pointer(MODEL, ds)
    except PartitionMissing:
        if home.open_store().pointer(TABLE, ds) is None:
            raise
        raise AtelierError(
            f"{ds} has no outfit model: it had too few outfits and baskets to learn from, as the check "
            "outfits_to_learn_from says; deliver outfits, or name another day by --day"
        ) from None
    return OutfitModel.load(models.bundle(MODEL, pointer).path)


def _print_lists(home: Home, article: str, sold: "pd.DataFrame", ds: date, k: int) -> None:
    """Print both lists of an article, each place with its reason."""
    with home.open_store().connect(as_of=ds, tables=[TABLE]) as connection:
        listed = connection.execute(
            "SELECT list, complement_article_id, score, reason FROM complementary_articles"
            " WHERE article_id = $article AND rank <= $k ORDER BY list, rank",
            {"article": article, "k": k},
        ).df()
    click.echo(f"with {_named(article, sold)}, as of {ds}")
    for name in LISTS:
        rows = listed.loc[listed["list"] == name, ["complement_article_id", "score", "reason"]]
        click.echo(name if len(rows) else f"{name}: {NONE[name]}")
        for place, (other, score, reason) in enumerate(rows.itertuples(index=False), 1):
            _print_place(place, other, score, sold, clean(reason))


def _print_completed(model: "OutfitModel", outfit: Sequence[str], sold: "pd.DataFrame", ds: date, k: int) -> None:
    """Print what completes an outfit best, and of each place what the articles of the outfit say to it."""
    from atelier.outfits.completion import complete, reasons

    found = complete(model, outfit, _in_stock(model, sold), k)
    click.echo(f"completing {' and '.join(map(clean, outfit))}, as of {ds}")
    if found.empty:
        click.echo("none: all that is in stock is of a product type of the outfit, or was rejected beside it by people")
    for rank, article, score in found[["rank", "article_id", "score"]].itertuples(index=False):
        pairs = reasons(model, [*outfit, article])
        mine = pairs[pairs["article_id"] == article]
        _print_place(rank, article, score, sold, _weights(zip(mine["with_article_id"], mine["weight"], strict=True)))


def _print_outfits(model: "OutfitModel", article: str, sold: "pd.DataFrame", ds: date, count: int, size: int) -> None:
    """Print outfits around an article, best first companion first, and the pairs that weigh most in each."""
    from atelier.outfits.completion import outfits_around, reasons

    made = outfits_around(model, article, _in_stock(model, sold), size=size, count=count)
    scores = model.score(made.assign(outfit_id=made["outfit"].astype(str))).set_index("outfit_id")["score"]
    click.echo(f"outfits around {_named(article, sold)}, as of {ds}")
    if made.empty:
        click.echo("none: nothing in stock is of another product type, or all of it was rejected beside it by people")
    for number, members in made.groupby("outfit")["article_id"]:
        click.echo(f"outfit {number}, score {scores[str(number)]:.3f}")
        for place, member in enumerate(members, 1):
            click.echo(f"{place:3d}  {_named(member, sold)}")
        pairs = reasons(model, members.tolist())
        ends = [" with ".join(sorted(pair)) for pair in pairs[["article_id", "with_article_id"]].to_numpy()]
        both = pairs["weight"].groupby(ends).mean()  # of both directions
        click.echo(f"       {_weights(zip(both.index.astype(str), both, strict=True))}")


def _in_stock(model: "OutfitModel", sold: "pd.DataFrame") -> list[str]:
    """The articles in stock that the model knows."""
    names: list[str] = sold.index[sold["in_stock"].eq(True) & sold.index.isin(model.fitted.articles.names)].tolist()
    if not names:
        raise AtelierError("nothing that the outfit model knows is in stock: there is nothing to choose from")
    return names


def _weights(pairs: Iterable[tuple[str, float]]) -> str:
    """What weighs for, and what against, the heaviest first: ``for: a (+0.51), b (+0.20); against: c (-0.10)``."""
    ordered = sorted(pairs, key=lambda pair: -abs(pair[1]))
    sides = {
        "for": [pair for pair in ordered if pair[1] > 0][:SHOWN_PAIRS],
        "against": [pair for pair in ordered if pair[1] <= 0][:SHOWN_PAIRS],
    }
    told = {side: ", ".join(f"{clean(name)} ({weight:+.2f})" for name, weight in own) for side, own in sides.items()}
    return "; ".join(f"{side}: {said}" for side, said in told.items() if said)


def _print_place(place: int, article: str, score: float, sold: "pd.DataFrame", reason: str) -> None:
    click.echo(f"{place:3d}  {score:7.3f}  {_named(article, sold)}")
    click.echo(f"       {reason}")


def _named(article: str, sold: "pd.DataFrame") -> str:
    """An article by its identifier, product type and name, of which the last two may not be known."""
    kind, name = sold.loc[article, ["product_type", "name"]]
    return "  ".join(clean(each) for each in (article, kind, name) if isinstance(each, str) and each)
