"""``atelier similar``: the neighbours of an article.

What belongs here: the command. What does not: finding neighbours (:mod:`assets.similar_articles`).
"""

from datetime import date, datetime
from typing import TYPE_CHECKING

import click

from atelier.errors import AtelierError, BundleError
from dagster_project.terminal import clean
from resources.retailer import Home

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

TABLE = "similar_articles"


@click.command()
@click.argument("article")
@click.option("--model", default="als", show_default=True, help="Whose notion of similar.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="As of which day; default: the newest.")
@click.option("-k", default=10, show_default=True, type=click.IntRange(min=1), help="How many.")
def similar(article: str, model: str, day: datetime | None, k: int) -> None:
    """The articles most similar to ARTICLE."""
    home = Home.initialised()
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
        connection.register("near", near.head(k).reset_index(names="place"))
        rows = connection.execute(
            "SELECT place + 1, similar_article_id, similarity, product_type, name"
            " FROM near LEFT JOIN articles ON articles.article_id = similar_article_id ORDER BY place"
        ).fetchall()
    click.echo(f"similar to {clean(article)} by {model}, as of {ds}")
    for place, other, similarity, product_type, name in rows:
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
    from atelier import recommenders
    from resources.model_store import ModelStore

    try:
        bundle = ModelStore(home.store).bundle(f"{model}_model", str(stored["model_id"].iloc[0]))
    except BundleError as error:
        click.echo(f"only {len(stored)} neighbours are stored, and more cannot be computed: {error}", err=True)
        return stored
    near: pd.DataFrame = recommenders.load(bundle.path, "cpu").similar([article], k=k)
    return near
