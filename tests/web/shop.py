"""A small home whose names, identifiers and files are hostile, and its server on a free port of loopback.

What belongs here: making the home, starting the server, asking it without a client that corrects what is asked. What
does not: what is asserted.
"""

import http.client
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import urlencode

import pandas as pd
import uvicorn
from PIL import Image

from dagster_project.commands.serve import make_server
from dagster_project.web.upkeep import Upkeep
from resources.publishing import publish
from resources.retailer import Home, Settings
from resources.settings_file import write_settings
from resources.tables import REGISTRY

DAY = date(2025, 3, 9)  # a Sunday
SCRIPT = "<script>alert('x')</script>"
QUOTED = 'it\'s "a" coat & more'
ODD = "a/../ü%00\u202e'; DROP TABLE articles; --"
OUTSIDE = "outside"
ARTICLES = {"a": SCRIPT, "b": QUOTED, ODD: "odd", "gone": "sold out", OUTSIDE: "a path that leads out"}
CUSTOMERS = ("c", "c2", ODD)
DIGEST = "0" * 64


def filled(table: str, rows: list[dict[str, object]]) -> pd.DataFrame:
    """Rows of a table with null where a column is not given."""
    return pd.DataFrame(rows).reindex(columns=list(REGISTRY[table].by_name))


def interactions(ds: date) -> pd.DataFrame:
    """One day: c buys a, and c2 looks at b."""
    both = [("c", "a", "purchase", 12.5), ("c2", "b", "view", 3.0), (ODD, ODD, "purchase", 1.0)]
    return filled(
        "interactions",
        [
            {"ordinal": n, "customer_id": c, "article_id": a, "kind": kind, "price": price, "occurred_at": ds}
            for n, (c, a, kind, price) in enumerate(both)
        ],
    )


def make_home(root: Path) -> Home:
    """The home, with its database published."""
    home, landed = Home(root / "home"), root / "landed"
    photographs = landed / "photographs"
    photographs.mkdir(parents=True)
    write_settings(home, Settings(source="parquet", path=str(landed), first_day=DAY - timedelta(days=9)))
    for table in ("articles", "interactions"):
        (landed / table).mkdir()
        pd.DataFrame({"article_id": ["a"]}).to_parquet(landed / table / f"ds={DAY}.parquet")
    Image.new("RGB", (300, 400), "red").save(photographs / "a.png", pnginfo=None)
    Image.new("RGB", (30, 40), "blue").save(root / "secret.png")
    (photographs / "link.png").symlink_to(root / "secret.png")
    store = home.open_store()
    store.write("articles", DAY, filled("articles", [_article(id_, name) for id_, name in ARTICLES.items()]))
    store.write("customers", DAY, filled("customers", [{"customer_id": c, "age": 30} for c in CUSTOMERS]))
    files = {"a": "a.png", "b": "link.png", OUTSIDE: "../../secret.png"}
    store.write(
        "images",
        DAY,
        filled(
            "images",
            [
                {"article_id": article, "shot": 0, "path": path, "digest": DIGEST, "width": 300, "height": 400}
                for article, path in files.items()
            ],
        ),
    )
    days = [DAY - timedelta(days=back) for back in range(10)]
    store.write_range("interactions", [(ds, interactions(ds)) for ds in days])
    _write_lists(home)
    publish(store, home.database)
    return home


def _article(article: str, name: str) -> dict[str, object]:
    return {
        "article_id": article,
        "name": name,
        "description": SCRIPT,
        "product_type": "Coat",
        "price": 12.5,
        "in_stock": article != "gone",
    }


def _write_lists(home: Home) -> None:
    """Lists, neighbours and attributes of the newest day."""
    store = home.open_store()
    reason = [
        {"kind": "article", "value": "a", "weight": 1.0},
        {"kind": "attribute", "value": "colour=red", "weight": 0.5},
    ]
    of_list = {"model": "als", "seen": "excluded", "customer_id": "c", "fallback": False, "model_id": "m", "score": 1.0}
    lists = [
        of_list | {"rank": rank, "served": True, "article_id": article, "reasons": reason}
        for rank, article in enumerate(("b", ODD), 1)
    ]
    store.write("recommendations", DAY, filled("recommendations", lists), part="als")
    unexplained = of_list | {"model": "hybrid", "rank": 1, "served": False, "article_id": "b", "reasons": None}
    store.write("recommendations", DAY, filled("recommendations", [unexplained]), part="hybrid")
    near = {
        "model": "image",
        "article_id": "a",
        "rank": 1,
        "similar_article_id": "b",
        "similarity": 0.5,
        "model_id": "m",
    }
    store.write("similar_articles", DAY, filled("similar_articles", [near]), part="image")
    goes = {"article_id": "a", "list": "people also bought", "rank": 1, "complement_article_id": "b", "score": 1.0}
    store.write(
        "complementary_articles", DAY, filled("complementary_articles", [goes | {"reason": f"bought {SCRIPT}"}])
    )
    instead = {"article_id": "gone", "rank": 1, "replacement_article_id": "a", "basis": "type_price", "reason": "near"}
    store.write("out_of_stock_replacement", DAY, filled("out_of_stock_replacement", [instead]))
    said = {"article_id": "a", "attribute": "colour", "value": "red", "confidence": 0.75, "prediction": "red"}
    known = {"source": "predicted", "model_id": "bundle1", "image_digests": [DIGEST], "text_digest": DIGEST}
    possible = {"alternatives": [{"value": "red", "probability": 0.75}]}
    store.write("predicted_attributes", DAY, filled("predicted_attributes", [said | known | possible]))
    for day, value in ((DAY - timedelta(days=1), 0.25), (DAY, 0.5)):
        metric = {"model": "als", "seen": "excluded", "metric": "recall", "k": 10, "segment": "all", "value": value}
        store.write("offline_metrics", day, filled("offline_metrics", [metric | {"customers": 7}]), part="als")
        figure = {"model_id": "bundle1", "attribute": "mean", "metric": "weighted_f1", "value": value}
        store.write("attribute_metrics", day, filled("attribute_metrics", [figure]))
        week = {"day": day, "window_days": 7, "active_customers": 3, "revenue_per_customer": 20.5, "conversion": value}
        store.write("business_figures", day, filled("business_figures", [week]))
        verdicts = [{"name": "articles: rows", "verdict": "usual"}, {"name": "brands", "verdict": "flagged"}]
        store.write("drift", day, filled("drift", verdicts))
        measured = {"name": "articles: brand", "kind": "shares", "sample_size": 8}
        levels = [
            measured | {"level": level, "value": 8 * share} for level, share in (("b1", value), ("b2", 1 - value))
        ]
        store.write("day_figures", day, filled("day_figures", [{**levels[0], "name": "brands"}, *levels]))


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


@dataclass(frozen=True)
class Shop:
    """A server that runs.

    Attributes:
        home: what it shows.
        port: where it listens.
        upkeep: is not started: tests look by themselves.
    """

    home: Home
    port: int
    upkeep: Upkeep

    def ask(self, target: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Answer:
        """Ask for a target exactly as it is written."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.putrequest(method, target, skip_host=bool(headers and "Host" in headers))
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            connection.endheaders()
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def page(self, page: str, **parameters: object) -> Answer:
        """Ask for a page with its parameters encoded."""
        return self.ask(f"/{page}?{urlencode(parameters)}" if parameters else f"/{page}")


@contextmanager
def serving(home: Home) -> Iterator[Shop]:
    """The server of a home, in a thread."""
    server, upkeep = make_server(home, "127.0.0.1", 0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield Shop(home, _port(server), upkeep)
    finally:
        server.should_exit = True
        thread.join(timeout=30)


def _port(server: uvicorn.Server) -> int:
    for _ in range(600):
        if server.started:
            return int(server.servers[0].sockets[0].getsockname()[1])
        time.sleep(0.05)
    raise TimeoutError("the server did not start within 30 seconds")
