"""The ``atelier`` command.

What belongs here: the group, and the commands that are a few lines over the packages below. What does not: commands
that are more (:mod:`dagster_project.commands`), the work itself. Heavy imports stand inside the commands, so that
``--help`` is quick.
"""

import sys
from datetime import timedelta
from typing import Any

import click

from atelier.errors import AtelierError
from dagster_project.commands.init import init
from dagster_project.commands.lineage import lineage
from dagster_project.commands.promote import promote
from resources.retailer import Home


@click.group()
@click.version_option(package_name="atelier")
def cli() -> None:
    """Atelier: the daily machine-learning pipeline of a fashion retailer. ATELIER_HOME says where it lives."""


cli.add_command(init)
cli.add_command(lineage)
cli.add_command(promote)


@cli.command()
def publish() -> None:
    """Rebuild atelier.duckdb from the store."""
    from resources.publishing import publish as rebuild

    home = Home.from_environment()
    allowed = home.settings.compute
    summary = rebuild(home.open_store(), home.database, threads=allowed.threads, memory_limit=allowed.memory_limit)
    click.echo(f"{home.database}: {summary}")


@cli.command()
@click.option(
    "--older-than",
    type=click.IntRange(min=1),
    default=7,
    show_default=True,
    metavar="DAYS",
    help="Only files older than so many days: longer than any run or query takes.",
)
def vacuum(older_than: int) -> None:
    """Remove the files of the store that no pointer names, and what killed runs left. Models are kept."""
    removed = Home.from_environment().open_store().vacuum(timedelta(days=older_than))
    for name in removed:
        click.echo(name)
    click.echo(f"removed {len(removed)} that no pointer names, older than {older_than} days")


@cli.command()
@click.argument("article")
@click.option("--model", default="als", show_default=True, help="Whose notion of similar.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="As of which day; default: the newest.")
@click.option("-k", default=10, show_default=True, type=click.IntRange(min=1), help="How many.")
def similar(article: str, model: str, day: Any, k: int) -> None:
    """The articles most similar to ARTICLE."""
    store = Home.from_environment().open_store()
    ds = day.date() if day else store.last_day("similar_articles")
    with store.connect(as_of=ds, tables=["similar_articles", "articles"]) as con:
        rows = con.execute(
            "SELECT rank, similar_article_id, similarity, product_type, name FROM similar_articles"
            " JOIN articles ON articles.article_id = similar_article_id"
            " WHERE similar_articles.article_id = $article AND model = $model AND rank <= $k ORDER BY rank",
            {"article": article, "model": model, "k": k},
        ).fetchall()
    if not rows:
        raise AtelierError(f"no articles similar to {article!r} by {model!r} on {ds}; is it an article of that day?")
    click.echo(f"similar to {article} by {model}, as of {ds}")
    for rank, other, similarity, product_type, name in rows:
        click.echo(f"{rank:3d}  {other}  {similarity:6.3f}  {product_type or '':16}  {name or ''}")


def main() -> None:
    """Run the command; an error that Atelier raises on purpose is one line, not a traceback."""
    try:
        cli()
    except AtelierError as error:
        click.echo(f"atelier: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
