"""The figures of what a retailer sells: articles, texts, labels, photographs.

What belongs here: which figures each of these tables has. What does not: the kinds of figure
(:mod:`atelier.monitoring.drift.figures`), what customers do (:mod:`atelier.monitoring.drift.behaviour`), the vectors of
photographs (:mod:`atelier.monitoring.drift.photographs`).
"""

import numpy as np
import pandas as pd

from atelier.monitoring.drift.figures import (
    Rows,
    bands,
    by_level,
    changed_rows,
    count,
    mean,
    nulls,
    share_of,
    shares,
    together,
    unknown_levels,
)

ARTICLE_COLUMNS = ("product_code", "name", "description", "product_type", "brand", "division", "price", "in_stock")
WORDS = r"\w+"


def article_figures(today: pd.DataFrame, yesterday: pd.DataFrame | None) -> pd.DataFrame:
    """Figures of the table ``articles``.

    Args:
        today: article_id and :data:`ARTICLE_COLUMNS`.
        yesterday: the same of the day before; None: what needs it is left out.
    """
    with np.errstate(divide="ignore"):
        log_price = np.log(pd.to_numeric(today["price"]).astype("float64").clip(lower=0))
    own = [
        count("articles", len(today)),
        nulls("articles", today, ARTICLE_COLUMNS),
        by_level({f"articles: {name}": today[name] for name in ("product_type", "brand", "division")}),
        shares("articles: price", bands(today["price"], 0.5, logarithmic=True)),
        mean("articles: price, logarithm", log_price),
        share_of("articles: in stock", today["in_stock"].fillna(False).astype(bool)),
    ]
    if yesterday is None:
        return together(own)
    return together(
        [
            *own,
            changed_rows("articles", today, yesterday, ["article_id"], ARTICLE_COLUMNS),
            *(
                unknown_levels(f"articles: {name}s", today[name].dropna(), yesterday[name].dropna())
                for name in ("product_type", "brand", "division")
            ),
            unseen_words(today, yesterday),
        ]
    )


def unseen_words(today: pd.DataFrame, yesterday: pd.DataFrame) -> Rows:
    """The share of words in names and descriptions that stood in none of yesterday's texts."""
    words, known = _words(today), _words(yesterday)
    return share_of("articles: words that were never read", ~words.isin(known.unique()))


def _words(articles: pd.DataFrame) -> "pd.Series[str]":
    text = articles["name"].fillna("").astype("str") + " " + articles["description"].fillna("").astype("str")
    words: pd.Series[str] = text.str.lower().str.findall(WORDS).explode().dropna().reset_index(drop=True)
    return words


def label_figures(table: str, today: pd.DataFrame, yesterday: pd.DataFrame | None) -> pd.DataFrame:
    """Figures of a table of attributes, ``annotated_attributes`` or ``predicted_attributes``.

    Args:
        table: its name.
        today: article_id, attribute, value.
        yesterday: the same of the day before; None: what needs it is left out.
    """
    own = [
        count(table, len(today)),
        *(shares(f"{table}: {attribute}", rows["value"]) for attribute, rows in today.groupby("attribute", sort=True)),
    ]
    if yesterday is None:
        return together(own)
    named, before = (frame["attribute"] + "=" + frame["value"].fillna("") for frame in (today, yesterday))
    return together(
        [
            *own,
            changed_rows(table, today, yesterday, ["article_id", "attribute"], ["value"]),
            unknown_levels(f"{table}: values", named, before),
        ]
    )


def image_figures(today: pd.DataFrame, yesterday: pd.DataFrame | None) -> pd.DataFrame:
    """Figures of the table ``images``.

    Args:
        today: article_id, shot, digest.
        yesterday: the same of the day before; None: what needs it is left out.
    """
    own = count("images", len(today))
    if yesterday is None:
        return together([own])
    return together([own, changed_rows("images", today, yesterday, ["article_id", "shot"], ["digest"])])
