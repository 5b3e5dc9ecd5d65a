"""``atelier report``: open the newest daily page.

What belongs here: the command. What does not: writing pages (:mod:`assets.report`), pages for searches
(:mod:`dagster_project.commands.serve`).
"""

import webbrowser

import click

from atelier.errors import AtelierError
from resources.kept_files import restore_files
from resources.retailer import Home


@click.command()
@click.option("--print", "only_print", is_flag=True, help="Print where it is, and open nothing.")
def report(only_print: bool) -> None:
    """Open the newest page of a day in the browser; where there is none, its address is printed all the same."""
    from assets.report import report_path
    from assets.report_index import days_with_page

    home = Home.initialised()
    restore_files(home)  # with a store on object storage, another machine may have written them
    folder = home.reports
    days = days_with_page(folder)
    if not days:
        raise AtelierError(f"{folder} has no page yet; the job daily_retrain writes one, for example in `make demo`")
    page = report_path(folder, days[-1]).absolute()
    click.echo(page.as_uri())
    if not only_print and not webbrowser.open(page.as_uri()):
        click.echo("no browser was found here: open that address in one", err=True)
