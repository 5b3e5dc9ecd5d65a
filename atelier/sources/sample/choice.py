"""With which probability a customer of the sample retailer chooses an article: the exact model and the best ranking.

What belongs here: the model p(i | u, t), its parameters on disk, and what follows from it exactly. What does not:
drawing from it (:mod:`~atelier.sources.sample.behaviour` does, through the same class).

On day t customer u chooses article i with probability::

    p(i | u, t) = Σ_z θ_uz(t) φ_z(i, t),    φ_z(i, t) ∝ available_i(t) · exp(popularity_i + liking_zi)
                                                         · novelty_i(t) · season_i(t) · markdown_i(t)

where z are the styles, θ_u(t) moves in a straight line from the taste before a drift to the one after, and φ_z sums to
one over what is on sale. A session has a context: it looks for anything, or for one group of product types g, drawn
with the probability Σ_{i∈g} p(i | u, t), and then chooses from p(i | u, t) restricted to g and normalised. So the
choice over all sessions is p(i | u, t) exactly, whatever the context.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from atelier.sources.sample import taxonomy
from atelier.sources.sample.catalogue import Articles, Codes, Floats
from atelier.sources.sample.config import SampleConfig
from atelier.sources.sample.population import DRIFT_DAYS, Customers

ANYTHING = 0.3  # share of sessions that look for nothing in particular
WEEKDAYS = (0.93, 0.95, 0.85, 1.16, 1.13, 1.06, 0.92)  # Monday … Sunday, mean 1
MARKDOWN_PULL = 1.5  # how much a reduction of 100% would add to log attraction
HAUL = 3.0  # how many times as many articles a haul considers


@dataclass(frozen=True)
class Choice:
    """The parameters of the choice model; n articles, m customers, Z styles. Days count from the first day of history.

    Attributes:
        config: what the retailer was generated from.
        articles: ids [n].
        groups: int [n], the group of product types that a session may look for.
        launched: int [n], first day on sale.
        leaves: int [n], last day on sale.
        markdown_from: int [n], first day of the reduced price.
        markdown: float [n], the reduction, 0…1.
        popularity: float [n], logarithm of the general attraction.
        peak: float [n], day of the year with the greatest attraction.
        seasonality: float [n], how much the season matters.
        likings: float [Z, n], logarithm of each style's liking.
        customers: ids [m].
        joined: int [m], day of registration.
        rate: float [m], mean sessions on an average day.
        taste_before: float32 [m, Z].
        taste_after: float32 [m, Z].
        drift_from: float [m], day on which the drift begins.
    """

    config: SampleConfig
    articles: NDArray[np.str_]
    groups: Codes
    launched: Codes
    leaves: Codes
    markdown_from: Codes
    markdown: Floats
    popularity: Floats
    peak: Floats
    seasonality: Floats
    likings: Floats
    customers: NDArray[np.str_]
    joined: Codes
    rate: Floats
    taste_before: NDArray[np.float32]
    taste_after: NDArray[np.float32]
    drift_from: Floats

    @classmethod
    def of(
        cls, config: SampleConfig, articles: Articles, customers: Customers, likings: Floats, popularity: Floats
    ) -> "Choice":
        """The model of a catalogue and its customers."""
        groups = np.array([taxonomy.GROUPS.index(kind.group) for kind in taxonomy.TYPES])
        peaks = np.array([kind.peak for kind in taxonomy.TYPES], dtype=np.float64)
        return cls(
            config,
            articles.ids,
            groups[articles.types],
            articles.launched,
            articles.leaves,
            articles.markdown_from,
            articles.markdown,
            popularity,
            peaks[articles.types, 0],
            peaks[articles.types, 1],
            likings,
            customers.ids,
            customers.joined,
            customers.rate,
            customers.taste_before,
            customers.taste_after,
            customers.drift_from,
        )

    def day_number(self, day: date) -> int:
        """The day, counted from the first day of history."""
        return (day - self.config.first_day).days

    def available(self, day: int) -> NDArray[np.bool_]:
        """Bool [n]: which articles can be bought on that day."""
        return (self.launched <= day) & (day <= self.leaves)

    def attraction(self, day: int, rows: NDArray[np.int64]) -> Floats:
        """Float [Z, len(rows)]: φ_z of some articles, that is normalised over them; all of them must be available."""
        age = np.maximum(day - self.launched[rows], 0)
        novelty = 1 + self.config.novelty_boost * np.exp(-age / self.config.novelty_days)
        novelty *= 1 - self.config.slow_start * np.exp(-age / self.config.slow_start_days)
        of_year = (self.config.first_day + timedelta(days=day)).timetuple().tm_yday
        season = self.seasonality[rows] * np.cos(2 * np.pi * (of_year - self.peak[rows]) / 365.25)
        reduced = MARKDOWN_PULL * np.where(self.markdown_from[rows] <= day, self.markdown[rows], 0.0)
        logs = self.likings[:, rows] + (self.popularity[rows] + np.log(novelty) + season + reduced)[None, :]
        weights = np.exp(logs - logs.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    def tastes(self, day: int, customers: NDArray[np.int64]) -> Floats:
        """Float [len(customers), Z]: θ_u on that day; every row sums to one."""
        moved = np.clip((day - self.drift_from[customers]) / DRIFT_DAYS, 0.0, 1.0)[:, None]
        tastes = (1 - moved) * self.taste_before[customers] + moved * self.taste_after[customers]
        return np.asarray(tastes / tastes.sum(axis=1, keepdims=True))

    def sessions(self, day: int, customers: NDArray[np.int64]) -> Floats:
        """Float [len(customers)]: expected sessions on that day; zero before registration."""
        weekday = (self.config.first_day + timedelta(days=day)).weekday()
        return np.where(self.joined[customers] <= day, self.rate[customers] * WEEKDAYS[weekday], 0.0)

    def probabilities(self, day: int, customers: NDArray[np.int64]) -> Floats:
        """Float [len(customers), n]: p(i | u, t), zero for what is not on sale."""
        result = np.zeros((len(customers), len(self.articles)))
        rows = np.flatnonzero(self.available(day))
        if len(rows):
            result[:, rows] = self.tastes(day, customers) @ self.attraction(day, rows)
        return result

    def save(self, folder: Path) -> None:
        """Write config.json, choice_articles.parquet and choice_customers.parquet."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(self.config.model_dump_json(indent=2) + "\n")
        styles = len(self.likings)
        per_article = {name: getattr(self, name) for name in _ARTICLE_COLUMNS}
        per_article["likings"] = pa.FixedSizeListArray.from_arrays(pa.array(self.likings.T.ravel()), styles)
        pq.write_table(pa.table({"article_id": self.articles, **per_article}), folder / "choice_articles.parquet")
        per_customer = {name: getattr(self, name) for name in _CUSTOMER_COLUMNS}
        for name in ("taste_before", "taste_after"):
            per_customer[name] = pa.FixedSizeListArray.from_arrays(pa.array(getattr(self, name).ravel()), styles)
        pq.write_table(pa.table({"customer_id": self.customers, **per_customer}), folder / "choice_customers.parquet")

    @classmethod
    def load(cls, folder: Path) -> "Choice":
        """Read what :meth:`save` wrote.

        Args:
            folder: the folder ``truth`` of a generated retailer.

        Raises:
            FileNotFoundError: the folder is not that of a generated retailer.
        """
        config = SampleConfig(**json.loads((folder / "config.json").read_text()))
        articles = pq.read_table(folder / "choice_articles.parquet")
        customers = pq.read_table(folder / "choice_customers.parquet")
        columns = {name: articles[name].to_numpy() for name in _ARTICLE_COLUMNS}
        columns |= {name: customers[name].to_numpy() for name in _CUSTOMER_COLUMNS}
        for name in ("taste_before", "taste_after"):
            columns[name] = customers[name].combine_chunks().flatten().to_numpy().reshape(customers.num_rows, -1)
        likings = articles["likings"].combine_chunks().flatten().to_numpy().reshape(articles.num_rows, -1).T
        return cls(
            config=config,
            articles=articles["article_id"].to_numpy().astype(np.str_),
            customers=customers["customer_id"].to_numpy().astype(np.str_),
            likings=np.ascontiguousarray(likings),
            **columns,
        )


_ARTICLE_COLUMNS = ("groups", "launched", "leaves", "markdown_from", "markdown", "popularity", "peak", "seasonality")
_CUSTOMER_COLUMNS = ("joined", "rate", "drift_from")


def _rows_of(choice: Choice, customers: Sequence[str] | None) -> NDArray[np.int64]:
    """The indices of customers; None: of all."""
    if customers is None:
        return np.arange(len(choice.customers))
    wanted = np.asarray(customers, dtype=np.str_)
    rows = np.minimum(np.searchsorted(choice.customers, wanted), len(choice.customers) - 1)
    unknown = wanted[choice.customers[rows] != wanted]
    if len(unknown):
        raise ValueError(f"{len(unknown)} customers are not of this retailer, the first: {unknown[:3].tolist()}")
    return rows


def choice_probabilities(truth: Path, customers: Sequence[str] | None, day: date) -> Floats:
    """The exact p(i | u, t).

    Args:
        truth: the folder ``truth`` of a generated retailer.
        customers: whose; None for all, in the order of their ids.
        day: the day t.

    Returns:
        float [customers, articles], articles in the order of their ids; a row sums to one. It is the distribution of
        what is considered, saved, put into the bag and bought, except where someone comes back to what they
        bought before (``SampleConfig.repeat``).

    Raises:
        ValueError: a customer is not of this retailer.
    """
    choice = Choice.load(truth)
    return choice.probabilities(choice.day_number(day), _rows_of(choice, customers))


def expected_purchases(choice: Choice, customers: NDArray[np.int64], first: int, last: int) -> Floats:
    """Float [customers, n]: Λ with P(i is bought on days first…last) = 1 − exp(−Λ), choices that repeat apart.

    Sessions are a Poisson process. A session considers N articles (geometric, mean m, larger in a haul: the generating
    function of N is G(s) = s / (m − (m − 1)s)), each of them i and bought with probability q p; so it buys i at least
    once with probability 1 − G(1 − q p), where p is p(i | u, t) or, in a session that looks for group g, that divided
    by the group's share. Λ sums this over contexts and days.
    """
    config = choice.config
    total = np.zeros((len(customers), len(choice.articles)))
    q = config.bagged * config.bought
    for day in range(first, last + 1):
        p = choice.probabilities(day, customers)
        shares = np.stack([p[:, choice.groups == g].sum(axis=1) for g in range(len(taxonomy.GROUPS))], axis=1)
        wanted = shares[:, choice.groups]  # [customers, n]: probability of looking for the article's own group
        within = np.divide(p, wanted, out=np.zeros_like(p), where=wanted > 0)
        bought = ANYTHING * _at_least_once(config, q * p) + (1 - ANYTHING) * wanted * _at_least_once(config, q * within)
        total += (choice.sessions(day, customers) * config.buying_sessions)[:, None] * bought
    return total


def _at_least_once(config: SampleConfig, probability: Floats) -> Floats:
    """1 − G(1 − x): the chance of a success in a session, where each article considered is one with chance x."""
    usual, haul = config.considered, config.considered * HAUL
    often = probability * usual / (1 + (usual - 1) * probability)
    return (1 - config.hauls) * often + config.hauls * probability * haul / (1 + (haul - 1) * probability)


def oracle_lists(
    folder: Path,
    customers: Sequence[str] | None,
    day: date,
    horizon: int,
    k: int = 10,
    *,
    seen: pd.DataFrame | None = None,
    block: int = 4096,
    candidates: Iterable[str] | None = None,
) -> pd.DataFrame:
    """The best possible recommendations on ``day`` for purchases in (day, day + horizon], seen articles left out.

    Ranking by the probability of being bought maximises expected precision@k. The oracle knows the true tastes, their
    drift, and what will come on sale within the horizon, so it is a ceiling that no model can expect to pass.
    Repeat purchases apart, it is exact; with ``seen`` given repeats do not count anyway. Where articles may be repeated
    it is no strict ceiling: it does not know who comes back to what they bought.

    Args:
        folder: of a generated retailer.
        customers: for whom; None for all.
        day: the day on which is recommended.
        horizon: how many days count.
        k: how many articles.
        seen: customer_id, article_id to leave out, for example all that was bought up to ``day``.
        block: customers ranked at once.
        candidates: the articles that may be recommended, for example those in stock on ``day``; None for all.

    Returns:
        customer_id, article_id, score (the probability of being bought in the horizon), rank from 1. Fewer than k rows
        where fewer articles remain.

    Raises:
        ValueError: a customer is not of this retailer.
    """
    choice = Choice.load(folder / "truth")
    rows = _rows_of(choice, customers)
    first = choice.day_number(day) + 1
    barred = np.zeros(len(choice.articles), bool) if candidates is None else ~np.isin(choice.articles, [*candidates])
    frames = []
    for start in range(0, len(rows), block):
        part = rows[start : start + block]
        scores = -np.expm1(-expected_purchases(choice, part, first, first + horizon - 1))
        if seen is not None:
            _leave_out(scores, choice, part, seen)
        scores[:, barred] = -1.0
        frames.append(_ranked(choice, part, scores, k))
    return pd.concat(frames, ignore_index=True)


def _leave_out(scores: Floats, choice: Choice, customers: NDArray[np.int64], seen: pd.DataFrame) -> None:
    """Set the scores of seen articles to −1, in place."""
    of_customer = pd.Index(choice.customers[customers]).get_indexer(pd.Index(seen["customer_id"]))
    of_article = pd.Index(choice.articles).get_indexer(pd.Index(seen["article_id"]))
    known = (of_customer >= 0) & (of_article >= 0)
    scores[of_customer[known], of_article[known]] = -1.0


def _ranked(choice: Choice, customers: NDArray[np.int64], scores: Floats, k: int) -> pd.DataFrame:
    """The k best of each row with a positive score; ties go to the first article id."""
    k = min(k, scores.shape[1])
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    values = np.take_along_axis(scores, best, axis=1)
    frame = pd.DataFrame(
        {
            "customer_id": np.repeat(choice.customers[customers], k),
            "article_id": choice.articles[best.ravel()],
            "score": values.ravel(),
            "rank": np.tile(np.arange(1, k + 1), len(customers)),
        }
    )
    return frame[frame["score"] > 0].reset_index(drop=True)
