"""``atelier similar``: the neighbours of an article, or of what a photograph from outside the catalogue shows.

What belongs here: the command. What does not: finding neighbours (:mod:`assets.retrieval`,
:mod:`assets.image_similarity`), reading photographs safely (:mod:`atelier.images.decode`).
"""

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from atelier.errors import AtelierError, BundleError
from dagster_project.terminal import clean
from resources.retailer import Home

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

TABLE = "similar_articles"
IMAGE = "image"
NAMED = """
    SELECT similar_article_id, similarity, product_type, name
    FROM near LEFT JOIN articles ON articles.article_id = similar_article_id ORDER BY place"""


@click.command()
@click.argument("article", required=False)
@click.option(
    "--image",
    type=click.Path(path_type=Path),
    help="A photograph that is not in the catalogue, in the place of ARTICLE: what looks most like it?",
)
@click.option("--model", default="als", show_default=True, help="Whose notion of similar; image: by photographs.")
@click.option("--type", "product_type", help="By photographs only: articles of this product type alone.")
@click.option("--price", nargs=2, type=float, metavar="LOW HIGH", help="With --image: articles of such a price alone.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="As of which day; default: the newest.")
@click.option("-k", default=10, show_default=True, type=click.IntRange(min=1), help="How many.")
def similar(
    article: str | None,
    image: Path | None,
    model: str,
    product_type: str | None,
    price: tuple[float, float] | None,
    day: datetime | None,
    k: int,
) -> None:
    """The articles most similar to ARTICLE, or to what the photograph FILE of --image shows."""
    if (article is None) == (image is None):
        raise click.UsageError("name an ARTICLE, or a photograph by --image FILE: one of the two")
    if price is not None and not price[0] <= price[1]:  # also where one of them is no number
        raise click.UsageError(f"--price {price[0]:g} {price[1]:g} is no range: two numbers, the lower price first")
    if image is None and (product_type is not None or price is not None):
        raise click.UsageError("--type and --price choose among the articles that look like a photograph: add --image")
    home = Home.initialised()
    if image is not None:
        _print_like(home, image, k, product_type, price, day)
    else:
        _print_similar(home, str(article), model, day, k)


def _print_similar(home: Home, article: str, model: str, day: datetime | None, k: int) -> None:
    store = home.open_store()
    ds = day.date() if day else store.last_day(TABLE)
    with store.connect(as_of=ds, tables=[TABLE, "articles"]) as connection:
        _check(connection, article, model, ds)
        near = connection.execute(
            "SELECT similar_article_id, similarity, model_id FROM similar_articles"
            " WHERE article_id = $article AND model = $model ORDER BY rank",
            {"article": article, "model": model},
        ).df()
        if len(near) < k:
            near = _more(home, model, article, k, near)
        click.echo(f"similar to {clean(article)} by {model}, as of {ds}")
        _print(connection, near.head(k))


def _print_like(
    home: Home, image: Path, k: int, product_type: str | None, price: tuple[float, float] | None, day: datetime | None
) -> None:
    """Print what looks most like a photograph, which is read by the encoder of the day's own photographs."""
    from atelier.images.similarity import ImageIndex
    from resources.encoders import encoder_of
    from resources.model_store import ModelStore

    models = ModelStore(home.storage)
    name = f"{IMAGE}_index"
    ds = day.date() if day else models.last_day(name)
    index = ImageIndex.load(models.bundle(name, models.pointer(name, ds)).path)
    if not index.encoder_id:
        raise AtelierError(f"no article has a photograph on {ds}: there is nothing to compare {image} with")
    encoded = encoder_of(home, models, index.encoder_id).encode([image], description=f"reading {image.name}")
    if encoded.errors:
        raise encoded.errors[0]
    near = index.like(encoded.vectors, k, product_type=product_type, price=price)
    with home.open_store().connect(as_of=ds, tables=["articles"]) as connection:
        click.echo(f"in stock and looking like {clean(image.name)}, as of {ds}")
        _print(connection, near.rename(columns={"article_id": "similar_article_id"}))


def _print(connection: "duckdb.DuckDBPyConnection", near: "pd.DataFrame") -> None:
    """A line for each neighbour."""
    if near.empty:
        click.echo("none: no article in stock has a photograph and is of that type and price")
        return
    connection.register("near", near.reset_index(drop=True).reset_index(names="place"))
    for place, (other, similarity, product_type, name) in enumerate(connection.execute(NAMED).fetchall(), 1):
        click.echo(
            f"{place:3d}  {clean(other)}  {similarity:6.3f}  {clean(product_type or ''):16}  {clean(name or '')}"
        )


def _check(connection: "duckdb.DuckDBPyConnection", article: str, model: str, ds: date) -> None:
    """Refuse a model and an article of which the day knows no neighbours, and say which of the two it is.

    Raises:
        AtelierError: there is no such model, no such article, or the model knows no neighbours of it.
    """
    models = [name for (name,) in connection.execute(f"SELECT DISTINCT model FROM {TABLE} ORDER BY 1").fetchall()]  # noqa: S608
    if model not in models:
        raise AtelierError(f"no model {model!r} has neighbours on {ds}; there are {', '.join(models)}")
    asked = {"article": article, "model": model}
    if not connection.execute("SELECT 1 FROM articles WHERE article_id = $article", {"article": article}).fetchone():
        raise AtelierError(f"there is no article {article!r} on {ds}")
    own = f"SELECT 1 FROM {TABLE} WHERE article_id = $article AND model = $model"  # noqa: S608 — our own names
    if not connection.execute(own, asked).fetchone():
        raise AtelierError(
            f"{model} knows no neighbours of {article!r} on {ds}: nothing was learned about this article"
        )


def _more(home: Home, model: str, article: str, k: int, stored: "pd.DataFrame") -> "pd.DataFrame":
    """The neighbours by the bundle that made the stored ones, where more are asked for than are stored."""
    from resources.model_store import ModelStore

    name = f"{model}_index" if model == IMAGE else f"{model}_model"
    try:
        bundle = ModelStore(home.storage).bundle(name, str(stored["model_id"].iloc[0]))
    except BundleError as error:
        click.echo(f"only {len(stored)} neighbours are stored, and more cannot be computed: {error}", err=True)
        return stored
    if model == IMAGE:
        from atelier.images.similarity import ImageIndex

        index = ImageIndex.load(bundle.path)
        return index.similar([article], k, index.filters)
    from atelier import recommenders

    near: pd.DataFrame = recommenders.load(bundle.path, "cpu").similar([article], k=k)
    return near
