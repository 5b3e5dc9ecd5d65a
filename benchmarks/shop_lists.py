"""Lists where they meet the shop, on the sample retailer: a category, a search, beside a bag, on an article's page.

    python -m benchmarks.shop_lists [--model als] [--articles 800] [--customers 2000] [--days 60] [--seeds 0 1 2]

Each list is made by a recommender trained on all but the last week, and by popularity, and judged by what customers
bought in that week. ± is half a 95% interval over the lists; a difference is over the same lists (paired).

- ``category``: of the product type of an article that the customer went on to buy, the articles in stock are ranked.
- ``search``: the same with the hits of a search for that article's type and colour; the search's own order beside it.
- ``bag``: of the articles that a customer bought on one day one is hidden; the others are the bag, behind the
  customer's history, and all articles are ranked. ``bag alone`` leaves the history out, ``history`` the bag.
- ``page``: the last article that the customer had come to before the one bought, on the same day. Its page has three
  lists: ``you might also like``, the nearest articles by the recommender; ``people also bought``, of other product
  types; and popular articles, also ``popular of its type``.

Figures: the share of lists whose first ten places hold the article (hit rate), and the mean of 1 / log2(1 + rank)
within them (NDCG of one true article).

What belongs here: the questions and the table. What does not: the commands, which ask the same models
(:mod:`dagster_project.commands.serving`).
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from atelier import recommenders
from atelier.attributes.catalogue_search import CatalogueSearch
from atelier.catalogue import Catalogue
from atelier.interactions import Interactions
from atelier.recommenders.base import Recommender
from atelier.recommenders.co_purchase import AlsoBoughtConfig, also_bought
from atelier.sources import open_source, read
from atelier.sources.sample import SampleConfig, generate

K = 10
WEEK = 7


@dataclass(frozen=True)
class Shop:
    """A sample retailer: what was known before the last week, and what was bought in it.

    Attributes:
        articles: the catalogue of the day before that week, with ``colour``, the true one where people annotated it.
        history: interactions before that week.
        events: interactions of that week.
        bought: customer_id, article_id, day of its purchases of articles that the recommender can rank, by customers
            whom it can serve and who had not bought them before.
        models: the recommender, and popular.
    """

    articles: pd.DataFrame
    history: pd.DataFrame
    events: pd.DataFrame
    bought: pd.DataFrame
    models: dict[str, Recommender[Any]]


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="als")
    parser.add_argument("--articles", type=int, default=800)
    parser.add_argument("--customers", type=int, default=2000)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    return parser.parse_args(given)


def open_shop(folder: Path, config: SampleConfig, model: str) -> Shop:
    """Generate a retailer and train on all but its last week."""
    generate(folder, config)
    source = open_source("sample", folder)
    frame = read(source, "interactions", source.first_day, source.last_day)
    split = frame["occurred_at"].max().normalize() - pd.Timedelta(days=WEEK - 1)
    before = (split - pd.Timedelta(days=1)).date()
    articles = read(source, "articles", before, before)
    labels = read(source, "annotated_attributes", before, before)
    colours = labels[labels["attribute"] == "colour"].set_index("article_id")["value"]
    articles = articles.assign(colour=articles["article_id"].map(colours))
    history, later = frame[frame["occurred_at"] < split], frame[frame["occurred_at"] >= split]
    bought = later[later["kind"] == "purchase"].drop_duplicates(["customer_id", "article_id"])
    old = history[history["kind"] == "purchase"][["customer_id", "article_id"]].drop_duplicates()
    new = bought.merge(old, how="left", indicator=True).query("_merge == 'left_only'")
    new = new[new["customer_id"].isin(history["customer_id"]) & new["article_id"].isin(articles["article_id"])]
    new = new.assign(day=new["occurred_at"].dt.date)[["customer_id", "article_id", "day"]]
    train, catalogue = Interactions.from_frame(history), Catalogue.from_frames(articles)
    models = {name: recommenders.build(name).fit(train, catalogue=catalogue) for name in (model, "popular")}
    rankable = models[model].can_rank(articles["article_id"]) & articles["in_stock"].to_numpy(bool)
    new = new[new["article_id"].isin(articles.loc[rankable, "article_id"])]
    new = new[models[model].can_serve(new["customer_id"])].reset_index(drop=True)
    return Shop(articles.reset_index(drop=True), history, later, new, models)


def ranks(lists: pd.DataFrame, asked: pd.DataFrame) -> "pd.Series[float]":
    """The rank of the true article in each list; infinite where it is not in it. Aligned with ``asked``."""
    both = asked[["customer_id", "article_id"]].merge(
        lists[["customer_id", "article_id", "rank"]], on=["customer_id", "article_id"], how="left"
    )
    found: pd.Series[float] = both["rank"].astype(float).fillna(np.inf).set_axis(asked.index)
    return found


def by_group(shop: Shop, groups: "pd.Series[Any]", search: CatalogueSearch | None = None) -> pd.DataFrame:
    """The rank of each bought article among those of its group, by each model; by the search where there is one.

    Args:
        shop: the retailer.
        groups: of each row of ``shop.bought``, what the candidates have: values by name.
        search: asked for them; None: all articles that have them.
    """
    every = search or CatalogueSearch.build(shop.articles)
    parts = []
    for group, asked in shop.bought.groupby(groups):
        filters = dict(group)
        if search is None:
            candidates = every.names[every.having(filters)]
        else:
            candidates = every.find(" ".join(filters.values()), k=None).query("words == words.max()")["article_id"]
        usable = {name: candidates[model.can_rank(candidates)] for name, model in shop.models.items()}
        found = {
            name: ranks(model.recommend(asked["customer_id"].unique(), K, candidates=usable[name]), asked)
            for name, model in shop.models.items()
        }
        if search is not None:
            place = pd.Series(np.arange(1.0, len(candidates) + 1), index=candidates)
            found["search"] = asked["article_id"].map(place).fillna(np.inf)
        parts.append(pd.DataFrame(found))
    return pd.concat(parts).sort_index()


def by_bag(shop: Shop, model: str) -> pd.DataFrame:
    """The rank of each hidden article of a day's purchases, from the bag, the history, both, and by popularity."""
    sizes = shop.bought.groupby(["customer_id", "day"])["article_id"].transform("size")
    several = shop.bought[sizes > 1].reset_index(drop=True)
    asked = several.assign(case=[f"{nth}" for nth in range(len(several))])
    bags = asked.merge(several, on=["customer_id", "day"], suffixes=("", "_in_bag")).query(
        "article_id != article_id_in_bag"
    )
    now = bags[["case", "article_id_in_bag", "day"]].set_axis(["customer_id", "article_id", "occurred_at"], axis=1)
    now = now.assign(occurred_at=pd.to_datetime(now["occurred_at"]), kind="bag")
    past = asked[["case", "customer_id"]].merge(shop.history, on="customer_id").drop(columns="customer_id")
    past = past.rename(columns={"case": "customer_id"})[list(now.columns)]
    cases = asked[["case", "article_id"]].set_axis(["customer_id", "article_id"], axis=1)
    histories = {"history and bag": pd.concat([past, now]), "bag alone": now, "history": past}
    found = {name: ranks(_with(shop.models[model], each, now), cases) for name, each in histories.items()}
    found["popular"] = ranks(_with(shop.models["popular"], histories["history and bag"], now), cases)
    return pd.DataFrame(found)


def pages_before(events: pd.DataFrame, bought: pd.DataFrame) -> "pd.Series[Any]":
    """The last other article that a customer had come to before the bought one, on the same day; missing without any.

    Args:
        events: customer_id, article_id, occurred_at.
        bought: customer_id, article_id, day; each pair of customer and article once.
    """
    seen = events.assign(day=events["occurred_at"].dt.date)
    first = seen.groupby(["customer_id", "day", "article_id"], as_index=False)["occurred_at"].min()
    both = bought.merge(first, on=["customer_id", "day", "article_id"]).merge(
        first, on=["customer_id", "day"], suffixes=("", "_page")
    )
    earlier = both[both["occurred_at_page"] < both["occurred_at"]]
    latest = earlier.sort_values(["occurred_at_page", "article_id_page"]).drop_duplicates(
        ["customer_id", "article_id"], keep="last"
    )
    pages = latest[["customer_id", "article_id", "article_id_page"]]
    found: pd.Series[Any] = bought.merge(pages, how="left")["article_id_page"].set_axis(bought.index)
    return found


def by_page(shop: Shop, model: str) -> pd.DataFrame:
    """The rank of each bought article in the lists on the page that the customer came from."""
    known = shop.articles["article_id"]
    pages = pages_before(shop.events, shop.bought)
    usable = pages.isin(known[shop.models[model].can_rank(known)])
    asked = pd.DataFrame({"customer_id": pages[usable], "article_id": shop.bought.loc[usable, "article_id"]})
    shown = asked["customer_id"].unique()  # a page stands where the customer stands in the other questions
    near = shop.models[model].similar(shown, K)
    lists = {
        "you might also like": near.set_axis(["customer_id", "article_id", "score", "rank"], axis=1),
        "people also bought": _also_bought(shop).rename(
            columns={"article_id": "customer_id", "complement_article_id": "article_id"}
        ),
        "popular of its type": _popular(shop, shown, of_type=True),
        "popular": _popular(shop, shown, of_type=False),
    }
    return pd.DataFrame({name: ranks(each, asked) for name, each in lists.items()})


def _also_bought(shop: Shop) -> pd.DataFrame:
    """What the buyers of each article bought too, of other product types, before the last week."""
    bought = Interactions.from_frame(shop.history[shop.history["kind"] == "purchase"])
    kinds, styles = (pd.factorize(shop.articles[name])[0] for name in ("product_type", "product_code"))
    stock = shop.articles["in_stock"].to_numpy(bool)
    return also_bought(bought, shop.articles["article_id"], stock, kinds, styles, AlsoBoughtConfig(k=K))


def _popular(shop: Shop, pages: Any, *, of_type: bool) -> pd.DataFrame:
    """The most popular articles for each page, without the page's own; of its product type alone or of all."""
    model, someone = shop.models["popular"], shop.bought["customer_id"].iloc[:1]
    types = shop.articles.set_index("article_id")["product_type"]
    offered = shop.articles[shop.articles["in_stock"] & model.can_rank(shop.articles["article_id"])]
    groups = offered.groupby("product_type")["article_id"] if of_type else [("", offered["article_id"])]
    best = {
        group: model.recommend(someone, K + 1, exclude_seen=False, candidates=candidates)["article_id"].tolist()
        for group, candidates in groups
    }
    rows = [(page, each) for page in pages for each in best.get(types[page] if of_type else "", []) if each != page]
    listed = pd.DataFrame(rows, columns=["customer_id", "article_id"])
    return listed.assign(rank=listed.groupby("customer_id").cumcount() + 1).query("rank <= @K")


def _with(model: Recommender[Any], histories: pd.DataFrame, bags: pd.DataFrame) -> pd.DataFrame:
    """Lists from histories, without what is in the bags."""
    longest = int(bags.groupby("customer_id").size().max())
    lists = model.recommend(k=K + longest, histories=histories)
    kept = lists.merge(bags[["customer_id", "article_id"]], how="left", indicator=True).query("_merge == 'left_only'")
    return kept.assign(rank=kept.groupby("customer_id").cumcount() + 1)


def table(found: pd.DataFrame) -> pd.DataFrame:
    """A row for each way of ranking: lists, hit rate and NDCG at ten, and the difference in NDCG to popularity."""
    hits = found <= K
    gains = pd.DataFrame(np.where(hits, 1 / np.log2(1 + found), 0.0), columns=found.columns)
    rows = {}
    for name in found.columns:
        difference = gains[name] - gains["popular"]
        rows[name] = {
            "lists": f"{len(found):,}",
            "hit rate@10": _interval(hits[name]),
            "NDCG@10": _interval(gains[name]),
            "NDCG against popular": "" if name == "popular" else _interval(difference, sign="+"),
        }
    return pd.DataFrame(rows).T


def _interval(values: "pd.Series[Any]", sign: str = "") -> str:
    half = 1.96 * float(values.astype(float).std(ddof=1)) / np.sqrt(len(values))
    return f"{float(values.mean()):{sign}.4f} ± {half:.4f}"


def main(given: Sequence[str] | None = None) -> dict[str, pd.DataFrame]:
    """Generate, train, ask, print; the three tables by name."""
    options = arguments(given)
    from resources.compute import Compute

    Compute("cpu", 1).apply()
    parts: dict[str, list[pd.DataFrame]] = {"category": [], "search": [], "bag": [], "page": []}
    for seed in options.seeds:
        config = SampleConfig(
            articles=options.articles, customers=options.customers, days=options.days, image_size=32, seed=seed
        )
        with tempfile.TemporaryDirectory() as folder:
            shop = open_shop(Path(folder) / "shop", config, options.model)
        types = shop.articles.set_index("article_id")["product_type"].reindex(shop.bought["article_id"])
        parts["category"].append(by_group(shop, pd.Series([(("product_type", each),) for each in types])))
        colours = shop.articles.set_index("article_id")["colour"].reindex(shop.bought["article_id"])
        known = pd.notna(colours.to_numpy())
        coloured = replace(shop, bought=shop.bought[known].reset_index(drop=True))
        pairs = zip(types[known], colours[known], strict=True)
        asked = [(("product_type", kind), ("colour", colour)) for kind, colour in pairs]
        values = shop.articles[["article_id", "colour"]].dropna().rename(columns={"colour": "value"})
        values = values.assign(attribute="colour", source="annotated", confidence=1.0)
        parts["search"].append(by_group(coloured, pd.Series(asked), CatalogueSearch.build(shop.articles, values)))
        parts["bag"].append(by_bag(shop, options.model))
        parts["page"].append(by_page(shop, options.model))
    tables = {name: table(pd.concat(found, ignore_index=True)) for name, found in parts.items()}
    for name, shown in tables.items():
        print(f"\n{name}: {options.model} and popularity, {len(options.seeds)} retailers\n{shown.to_string()}")
    return tables


if __name__ == "__main__":
    main()
