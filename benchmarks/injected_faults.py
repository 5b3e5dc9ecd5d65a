"""The kinds of fault by which drift detection is judged, each as a change to the tables of one day.

They were written down before any threshold was set; ``docs/drift.md`` has the same list in words.

What belongs here: the faults. What does not: finding them (:mod:`atelier.monitoring.drift`), counting how many are
found (:mod:`benchmarks.drift_faults`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TypeAlias

import numpy as np
import pandas as pd

Frames: TypeAlias = Mapping[str, pd.DataFrame]

#: Pounds in euros: what half of the rows are when two shops send their own currency.
EXCHANGE_RATE = Decimal("1.17")


@dataclass(frozen=True)
class Day:
    """The tables of one day and of the day before it.

    Attributes:
        ds: the day.
        today: by table; ``vectors`` (digest, embedding) and ``recommendations`` beside those of the source.
        yesterday: the same of the day before.
        rng: where chance comes from.
    """

    ds: date
    today: Frames
    yesterday: Frames
    rng: np.random.Generator


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Attributes:
        name: letters and underscores.
        says: what is wrong, in a sentence.
        inject: gives the tables that differ, as they arrive with the fault; the others stay as they are.
    """

    name: str
    says: str
    inject: Callable[[Day], dict[str, pd.DataFrame]]


# Catalogue ---------------------------------------------------------------------------------------------------------


def _labels_shuffled(day: Day) -> dict[str, pd.DataFrame]:
    labels = day.today["annotated_attributes"].copy()
    for _, rows in labels.groupby("attribute").groups.items():
        labels.loc[rows, "value"] = day.rng.permutation(labels.loc[rows, "value"].to_numpy())
    return {"annotated_attributes": labels}


def _photographs_swapped(day: Day) -> dict[str, pd.DataFrame]:
    images = day.today["images"].copy()
    articles = np.sort(images["article_id"].unique())
    moved = day.rng.choice(articles, size=len(articles) // 4 * 2, replace=False)
    other = dict(zip(moved, np.roll(moved, len(moved) // 2), strict=True))
    images["article_id"] = images["article_id"].map(lambda article: other.get(article, article))
    return {"images": images}


def _prices_times_100(day: Day) -> dict[str, pd.DataFrame]:
    articles = day.today["articles"].copy()
    articles["price"] = articles["price"].map(lambda price: price * 100, na_action="ignore")
    return {"articles": articles}


def _brand_gone(day: Day) -> dict[str, pd.DataFrame]:
    articles = day.today["articles"]
    sizes = articles["brand"].value_counts().sort_index()
    middle = sizes.sort_values(kind="stable").index[len(sizes) // 2]
    kept = articles[articles["brand"] != middle]
    events = day.today["interactions"]
    return {"articles": kept, "interactions": events[events["article_id"].isin(kept["article_id"])]}


def _ids_repadded(day: Day) -> dict[str, pd.DataFrame]:
    tables = ("articles", "annotated_attributes", "images", "interactions")
    return {name: day.today[name].assign(article_id="0" + day.today[name]["article_id"]) for name in tables}


def _value_renamed(day: Day) -> dict[str, pd.DataFrame]:
    labels = day.today["annotated_attributes"]
    colours = labels.loc[labels["attribute"] == "colour", "value"].value_counts().sort_index()
    most = colours.sort_values(kind="stable").index[-1]
    renamed = (labels["attribute"] == "colour") & (labels["value"] == most)
    return {"annotated_attributes": labels.assign(value=labels["value"].mask(renamed, f"new {most}"))}


def _descriptions_emptied(day: Day) -> dict[str, pd.DataFrame]:
    return {"articles": day.today["articles"].assign(description=None)}


def _another_language(day: Day) -> dict[str, pd.DataFrame]:
    # Which language matters to no test of words: each word becomes another one, the same wherever it stands.
    articles = day.today["articles"]
    letters = str.maketrans("abcdefghijklmnopqrstuvwxyz", "éøßdüfñåïjkçmæòpqršttâwxýž")
    return {"articles": articles.assign(description=articles["description"].str.lower().str.translate(letters))}


# Customers ---------------------------------------------------------------------------------------------------------


def _ages_constant(day: Day) -> dict[str, pd.DataFrame]:
    customers = day.today["customers"]
    return {"customers": customers.assign(age=customers["age"].mask(customers["age"].notna(), 30))}


def _customers_renumbered(day: Day) -> dict[str, pd.DataFrame]:
    # The same ids, of other people: no reference is broken, and every number of rows stays as it was.
    ids = np.sort(day.today["customers"]["customer_id"].to_numpy(str))
    others = dict(zip(ids, day.rng.permutation(ids), strict=True))
    events = day.today["interactions"]
    return {"interactions": events.assign(customer_id=events["customer_id"].map(others))}


# Interactions ------------------------------------------------------------------------------------------------------


def _source_truncated(day: Day) -> dict[str, pd.DataFrame]:
    events = day.today["interactions"]
    return {"interactions": events.head(int(len(events) * 0.6))}


def _time_zone_off(day: Day) -> dict[str, pd.DataFrame]:
    events = day.today["interactions"]
    earlier = events["occurred_at"] - pd.Timedelta(hours=1)
    midnight = pd.Timestamp(day.ds)
    return {
        "interactions": events.assign(
            occurred_at=earlier.where(earlier >= midnight, midnight).astype(events["occurred_at"].dtype)
        )
    }


def _half_in_other_currency(day: Day) -> dict[str, pd.DataFrame]:
    events = day.today["interactions"].copy()
    other = day.rng.random(len(events)) < 0.5
    converted = events.loc[other, "price"].map(lambda price: (price * EXCHANGE_RATE).quantize(Decimal("0.01")))
    events["price"] = events["price"].where(~other, converted)
    return {"interactions": events}


def _rows_duplicated(day: Day) -> dict[str, pd.DataFrame]:
    events = day.today["interactions"]
    again = events.iloc[np.sort(day.rng.choice(len(events), size=int(len(events) * 0.3), replace=False))]
    return {"interactions": pd.concat([events, again]).sort_values("occurred_at", kind="stable", ignore_index=True)}


def _channel_gone(day: Day) -> dict[str, pd.DataFrame]:
    events = day.today["interactions"]
    return {"interactions": events[events["channel"] != "web"]}


def _popularity_collapsed(day: Day) -> dict[str, pd.DataFrame]:
    events = day.today["interactions"].copy()
    few = events["article_id"].value_counts().sort_index().sort_values(kind="stable").index[-5:].to_numpy(str)
    collapsed = day.rng.random(len(events)) < 0.5
    events.loc[collapsed, "article_id"] = day.rng.choice(few, size=int(collapsed.sum()))
    return {"interactions": events}


def _day_delivered_again(day: Day) -> dict[str, pd.DataFrame]:
    # With the old dates every row would be refused; here the export has stamped them anew.
    events = day.yesterday["interactions"]
    return {"interactions": events.assign(occurred_at=events["occurred_at"] + timedelta(days=1))}


def _dates_in_future(day: Day) -> dict[str, pd.DataFrame]:
    events = day.today["interactions"].copy()
    ahead = day.rng.random(len(events)) < 0.05
    times = events["occurred_at"]
    events["occurred_at"] = times.where(~ahead, times + pd.Timedelta(days=365)).astype(times.dtype)
    return {"interactions": events}


def _kinds_swapped(day: Day) -> dict[str, pd.DataFrame]:
    events = day.today["interactions"]
    swapped = {"view": "purchase", "purchase": "view"}
    return {"interactions": events.assign(kind=events["kind"].map(lambda kind: swapped.get(kind, kind)))}


# Models ------------------------------------------------------------------------------------------------------------


def _vectors_zero(day: Day) -> dict[str, pd.DataFrame]:
    vectors = day.today["vectors"].copy()
    broken = day.rng.random(len(vectors)) < 0.33
    vectors["embedding"] = [
        np.zeros_like(vector) if zero else vector for vector, zero in zip(vectors["embedding"], broken, strict=True)
    ]
    return {"vectors": vectors}


def _first_model(lists: pd.DataFrame) -> "pd.Series[bool]":
    """Which rows are of the model that is personal and comes first in the alphabet."""
    first: pd.Series[bool] = lists["model"] == min(set(lists["model"]) - {"popular"})
    return first


def _lists(day: Day) -> pd.DataFrame:
    """The lists of the day, with texts where they are read as categories."""
    lists = day.today["recommendations"]
    return lists.astype(dict.fromkeys(("model", "customer_id", "article_id"), "str"))


def _lists_constant(day: Day) -> dict[str, pd.DataFrame]:
    lists = _lists(day)
    rows = _first_model(lists)
    own = lists[rows]
    someone = own["customer_id"].min()
    same = own[own["customer_id"] == someone].set_index("rank")["article_id"]
    lists.loc[rows, "article_id"] = own["rank"].map(same)
    return {"recommendations": lists}


def _lists_permuted(day: Day) -> dict[str, pd.DataFrame]:
    lists = _lists(day)
    rows = _first_model(lists)
    ids = np.sort(lists.loc[rows, "customer_id"].unique())
    others = dict(zip(ids, day.rng.permutation(ids), strict=True))
    lists.loc[rows, "customer_id"] = lists.loc[rows, "customer_id"].map(others)
    return {"recommendations": lists}


FAULTS: tuple[Fault, ...] = (
    Fault("labels_shuffled", "The labels of each attribute are dealt to its articles anew.", _labels_shuffled),
    Fault("photographs_swapped", "Half of the articles show each other's photographs.", _photographs_swapped),
    Fault("prices_times_100", "Prices of the catalogue come in pence.", _prices_times_100),
    Fault("brand_gone", "A brand of middling size is missing, articles and interactions.", _brand_gone),
    Fault("ids_repadded", "Article ids have one more leading zero in every file.", _ids_repadded),
    Fault("value_renamed", "The most frequent colour has another name.", _value_renamed),
    Fault("descriptions_emptied", "No article has a description.", _descriptions_emptied),
    Fault("another_language", "Descriptions are in a language that was never read.", _another_language),
    Fault("ages_constant", "Every known age is 30.", _ages_constant),
    Fault("customers_renumbered", "Interactions name each other's customers.", _customers_renumbered),
    Fault("source_truncated", "The file of interactions ends after 60% of its rows.", _source_truncated),
    Fault("time_zone_off", "Interactions are dated an hour early.", _time_zone_off),
    Fault("half_in_other_currency", "Half of the interactions have prices in euros.", _half_in_other_currency),
    Fault("rows_duplicated", "Three interactions in ten come twice.", _rows_duplicated),
    Fault("channel_gone", "The interactions of one channel are missing.", _channel_gone),
    Fault("popularity_collapsed", "Half of the interactions are of five articles.", _popularity_collapsed),
    Fault("day_delivered_again", "Yesterday's interactions come again with today's date.", _day_delivered_again),
    Fault("dates_in_future", "One interaction in twenty is dated a year ahead.", _dates_in_future),
    Fault("kinds_swapped", "Views are called purchases, and purchases views.", _kinds_swapped),
    Fault("vectors_zero", "A third of the vectors of photographs are zero.", _vectors_zero),
    Fault("lists_constant", "One model recommends the same list to everybody.", _lists_constant),
    Fault("lists_permuted", "One model's lists went to each other's customers.", _lists_permuted),
)
