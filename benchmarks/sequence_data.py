"""The data of the studies of sequence models: H&M's undated histories, its markets, and the sample retailer.

What belongs here: reading, splitting, what identifies the data. What does not: the studies
(:mod:`benchmarks.sequence_study`).
"""

import tempfile
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from atelier.catalogue import Catalogue
from atelier.interactions import Interactions
from atelier.metrics import PURCHASE, TRAIN_KINDS
from atelier.sources.sample import SampleConfig, generate
from atelier.studies.recommender_plan import Order
from benchmarks.hm_recommenders import (
    catalogue,
    fingerprint,
    hold_out_last,
    read_sequences,
    reference_purchases,
    sequences_split,
    vectors_digest,
)

LARGE, SMALL = "Ladieswear", "Menswear"
DAYS_BEFORE, DAYS_AFTER, HORIZON = 92, 28, 7
"""Days of the sample retailer that models are fitted on, and after them; of these the first seven are the truth."""


@dataclass(frozen=True, eq=False)
class StudyData:
    """What a study is made on.

    Attributes:
        train: the interactions before the truth.
        truth: what customers did then.
        sold: the articles.
        orders: in which training histories can be put.
        origin: the day of the lists; None where nothing is dated.
        whole: dated interactions up to ``origin`` and after it; None where nothing is dated.
    """

    train: Interactions
    truth: Interactions
    sold: Catalogue
    orders: tuple[Order, ...]
    origin: date | None = None
    whole: Interactions | None = None

    @property
    def identity(self) -> dict[str, str]:
        """What identifies the data of a kept result."""
        parts = {"train": self.train, "truth": self.truth} | ({} if self.whole is None else {"whole": self.whole})
        return {name: fingerprint(part) for name, part in parts.items()} | {"articles": vectors_digest(self.sold)}

    @property
    def size(self) -> str:
        """How much it is, in words."""
        return (
            f"{len(self.train):,} interactions of {len(self.train.customer_ids):,} customers with "
            f"{len(self.train.article_ids):,} articles"
        )


def sequences(folder: Path, articles: Path, customers: int | None, *, content: bool) -> StudyData:
    """H&M's histories by the reference protocol of :mod:`benchmarks.hm_recommenders`.

    Args:
        folder: with sequences.parquet.
        articles: H&M's articles.csv.
        customers: at most so many are read, chosen by a fixed seed; None: all.
        content: whether articles get vectors of their texts and columns.
    """
    split = sequences_split(read_sequences(folder, customers), "reference")
    sold = described(pd.read_csv(articles, dtype="str"), content=content)
    return StudyData(split.train, split.truth, sold, ("kept", "shuffled"))


def described(articles: pd.DataFrame, *, content: bool) -> Catalogue:
    """The articles of articles.csv; vectors, which take a while, are made of them only where a model reads content."""
    return catalogue(articles) if content else Catalogue.from_frames(articles)


def markets(folder: Path, articles: Path, customers: int | None, *, content: bool) -> tuple[Interactions, StudyData]:
    """The large market's interactions, and the small market, each of whose customers' last purchase is the truth.

    A customer belongs to the market (H&M's index_group_name) of more than half of the purchases.

    Args:
        folder: with sequences.parquet.
        articles: H&M's articles.csv.
        customers: at most so many of the large market are used, chosen by a fixed seed; None: all.
        content: whether articles get vectors of their texts and columns.
    """
    purchases = reference_purchases(read_sequences(folder))
    table = pd.read_csv(articles, dtype="str")
    group = table.set_index("article_id")["index_group_name"].reindex(purchases.article_ids.values.to_pandas())
    large = _mostly(purchases, (group == LARGE).to_numpy())
    small = _mostly(purchases, (group == SMALL).to_numpy())
    if customers is not None and large.sum() > customers:
        chosen = np.random.default_rng(0).permutation(np.flatnonzero(large))[:customers]
        large = np.isin(np.arange(len(large)), chosen)
    sold = described(table, content=content)
    train, truth = hold_out_last(purchases.rows(small[purchases.customers]), int(small.sum()), seed=0)
    return purchases.rows(large[purchases.customers]), StudyData(train, truth, sold, ("kept", "shuffled"))


def _mostly(purchases: Interactions, articles: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> "np.ndarray":
    """Which customers have more than half of their purchases among these articles, bool [customers]."""
    n = len(purchases.customer_ids)
    share = np.bincount(purchases.customers, articles[purchases.articles], n) / np.bincount(
        purchases.customers, None, n
    )
    return share > 0.5


def sample_retailer(customers: int, articles: int) -> StudyData:
    """A generated retailer without photographs: :data:`DAYS_BEFORE` days to learn from, :data:`DAYS_AFTER` after them.

    The truth is what was purchased within :data:`HORIZON` days; models learn from what is read of every customer.

    Args:
        customers: who are ever registered.
        articles: that are ever on sale.
    """
    config = SampleConfig(customers=customers, articles=articles, days=DAYS_BEFORE + DAYS_AFTER, photographs=False)
    origin = config.first_day + timedelta(days=DAYS_BEFORE - 1)
    with tempfile.TemporaryDirectory() as folder:
        generate(folder, config)
        whole = Interactions.from_frame(pq.read_table(Path(folder) / "interactions").to_pandas())
        snapshots = [f for f in sorted((Path(folder) / "articles").glob("*.parquet")) if f.stem <= f"ds={origin}"]
        articles_then = pd.read_parquet(snapshots[-1])
    available = pd.to_datetime(articles_then["available_from"]) <= pd.Timestamp(origin)
    whole = whole.of_kinds(TRAIN_KINDS)
    train, later = whole.split_at(origin + timedelta(days=1))
    truth, _ = later.split_at(origin + timedelta(days=1 + HORIZON))
    sold = Catalogue.from_frames(articles_then[available])
    return StudyData(train, truth.of_kinds(PURCHASE), sold, ("kept", "within_days", "shuffled"), origin, whole)
