"""``atelier serve``: read-only pages over the published database, for searches at full size.

What belongs here: the command, its options, listening. What does not: the application (:mod:`dagster_project.web`).
"""

import ipaddress
from typing import TYPE_CHECKING

import click

from atelier.errors import AtelierError
from dagster_project.terminal import clean
from resources.retailer import Home

if TYPE_CHECKING:
    import uvicorn

    from dagster_project.web.upkeep import Upkeep

PORT = 3100
#: Requests at the same time, at most.
MOST_REQUESTS = 64


@click.command()
@click.option("--port", default=PORT, show_default=True, type=click.IntRange(0, 65_535), help="0: any that is free.")
@click.option("--listen", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="On which address.")
@click.option("--name", "names", multiple=True, help="A further name under which browsers may ask for it.")
def serve(port: int, listen: str, names: tuple[str, ...]) -> None:
    """Pages to look up customers, articles and figures by day, read-only; there is no log-in."""
    if not is_loopback(listen):
        if not names:
            raise AtelierError(
                f"{listen} can be reached from other machines: say with --name under which name browsers ask for it"
            )
        click.echo(f"whoever reaches {listen} may read every customer's history: put a proxy that knows them in front")
    server, upkeep = make_server(Home.initialised(), listen, port, names)
    upkeep.start()
    click.echo(f"read-only pages on http://{listen}:{port}/ — ends with Ctrl-C")
    try:
        server.run()
    finally:
        upkeep.stop()


def make_server(home: Home, listen: str, port: int, names: tuple[str, ...] = ()) -> "tuple[uvicorn.Server, Upkeep]":
    """The server of a home, not started yet, and what is kept up to date beside it.

    Args:
        home: whose published database is shown.
        listen: the address.
        port: 0: any that is free.
        names: names beside loopback's own that a Host header may give.
    """
    import uvicorn

    from dagster_project.web.app import LOOPBACK, application
    from dagster_project.web.guard import MOST_HEADERS
    from dagster_project.web.pages import Pages
    from dagster_project.web.upkeep import Upkeep
    from resources.histories import histories_path
    from resources.published import PublishedDatabase

    allowed = home.settings.compute
    database = PublishedDatabase(
        home.database,
        home.storage,
        histories_path(home.root),
        threads=allowed.threads,
        memory_limit=allowed.memory_limit,
    )

    def tell(said: str) -> None:
        click.echo(clean(said), err=True)

    try:
        image_root = home.open_source().image_root
    except AtelierError as error:
        image_root = None
        tell(f"no photograph can be shown: {error}")
    upkeep = Upkeep(home, database, tell)
    title, serving = f"Atelier: {home.settings.source}", home.settings.serving_model
    pages = Pages(database, upkeep, image_root, title, serving, home.reports)
    config = uvicorn.Config(
        application(pages, (*LOOPBACK, *names), tell),
        host=listen,
        port=port,
        http="h11",  # it bounds the size of what it reads; httptools does not
        ws="none",
        h11_max_incomplete_event_size=MOST_HEADERS,  # more is not waited for; what came at once is refused by the guard
        limit_concurrency=MOST_REQUESTS,
        access_log=False,  # identifiers of customers stand in addresses
        server_header=False,
        proxy_headers=False,
        log_level="warning",
    )
    return uvicorn.Server(config), upkeep


def is_loopback(listen: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(listen).is_loopback
    except ValueError:
        return listen == "localhost"
