"""What outfits can be learned from where people made few or none: H&M's baskets, and the sample retailer's views.

    python -m benchmarks.outfit_truths --hm-week FOLDER [--epochs 2] [--most 20000] [--seed 0] [--threads 1]
    python -m benchmarks.outfit_truths --sample [--epochs 6] [--seed 0] [--threads 1]

- ``--hm-week``: baskets of one customer and day of one week (articles.parquet, transactions_train.parquet), by time:
  the last day is asked about, the day before it joins the controls, the earlier days are trained on. The table is that
  of :mod:`benchmarks.mango_outfits`.
- ``--sample``: the default sample retailer, made in a temporary folder without photographs. Models that learned from
  80% of the curated outfits, from baskets, from next clicks and from sessions, answer the same questions about 10% of
  the curated outfits. Beside them the controls that count, and an oracle, which knows how the outfits were drawn: the
  ceiling.

What belongs here: reading both sources, splits by time, the oracle. What does not: the comparison
(:mod:`benchmarks.outfit_comparison`), making outfits of behaviour (:mod:`atelier.outfits.stand_ins`).
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from atelier.articles.table import Articles
from atelier.interactions import Interactions
from atelier.outfits import OutfitModel
from atelier.outfits.baskets import baskets
from atelier.outfits.config import OutfitConfig
from atelier.outfits.controls import controls
from atelier.outfits.evaluation import mean_over_outfits, right_answers, scored
from atelier.outfits.outfits import Outfits
from atelier.outfits.questions import Questions
from atelier.outfits.splits import Split, split_by_outfit
from atelier.outfits.stand_ins import next_clicks, sessions
from atelier.sources import open_source, read
from atelier.sources.sample import SampleConfig, generate
from benchmarks.outfit_comparison import Comparison, Data, Question, ask, printed
from benchmarks.sample_outfit_oracle import Oracle

FAMILY = "product_type"
HM_COLUMNS = {
    "product_type_name": FAMILY,
    "product_group_name": "group",
    "graphical_appearance_name": "appearance",
    "colour_group_name": "colour",
    "perceived_colour_master_name": "master colour",
    "department_name": "department",
    "index_name": "index",
    "section_name": "section",
    "garment_group_name": "garment group",
}
PARTS = len(Split._fields)
ASKED: Mapping[str, Question] = {
    "uniform": Question("family", popularity=1.0),
    "popularity-matched": Question("popularity"),
}


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--hm-week", metavar="FOLDER", type=Path)
    which.add_argument("--sample", action="store_true")
    for size in ("articles", "customers", "days"):
        parser.add_argument(f"--{size}", type=int, default=SampleConfig.model_fields[size].default, help="of --sample")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--most", type=int, default=20_000, help="baskets, sessions or pairs, the newest")
    parser.add_argument("--asked", type=int, default=1_500, help="baskets asked about, evenly chosen")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(given)


def hm_articles(folder: Path) -> pd.DataFrame:
    """H&M's articles as the model reads them: text and columns of attributes."""
    frame = pd.read_parquet(folder / "articles.parquet")
    text = frame["prod_name"].fillna("") + " " + frame["detail_desc"].fillna("")
    ids = frame["article_id"].astype(str).str.zfill(10)
    return frame[list(HM_COLUMNS)].rename(columns=HM_COLUMNS).assign(article_id=ids, text=text)


def hm_purchases(folder: Path) -> Interactions:
    """H&M's transactions of the week."""
    frame = pd.read_parquet(folder / "transactions_train.parquet", columns=["customer_id", "article_id", "t_dat"])
    frame["article_id"] = frame["article_id"].astype(str).str.zfill(10)
    frame["customer_id"] = frame["customer_id"].astype(str)
    return Interactions.from_frame(frame.rename(columns={"t_dat": "occurred_at"}))


def split_by_time(outfits: Outfits) -> Split:
    """Baskets of the last day for testing, of the day before for validation, of earlier days for training.

    Exact duplicates count once, on the first of their days. A basket's name ends in its day.

    Raises:
        SystemExit: the baskets are of fewer than three days.
    """
    day = np.array([name.rsplit(" ", 1)[1] for name in outfits.names])
    ordered = outfits.rows(np.argsort(day, kind="stable")).deduplicated()
    day = np.array([name.rsplit(" ", 1)[1] for name in ordered.names])
    days = np.unique(day)
    if len(days) < PARTS:
        raise SystemExit(
            f"error: a split by time needs baskets of {PARTS} days: to train on, to join the controls, to ask "
            f"about; there are {len(days)}: {', '.join(days)}. Give transactions of more days"
        )
    before, last = days[-2:]
    return Split(
        ordered.rows(np.flatnonzero(day < before)),
        ordered.rows(np.flatnonzero(day == before)),
        ordered.rows(np.flatnonzero(day == last)),
    )


def evenly(outfits: Outfits, most: int) -> Outfits:
    """At most so many outfits, evenly chosen: the memory and time of an AUC grow with their square."""
    count = min(most, len(outfits))
    return outfits.rows(np.linspace(0, max(len(outfits) - 1, 0), count).astype(np.int64))


def hm_week(given: argparse.Namespace) -> None:
    """Print how well a model that learned from H&M's baskets answers about those of a later day."""
    products = hm_articles(given.hm_week)
    kinds = products.set_index("article_id")[FAMILY]
    found = baskets(hm_purchases(given.hm_week), kinds, 10**9)
    names = list(HM_COLUMNS.values())
    data = Data.of(products, found, names, FAMILY)
    split = split_by_time(data.outfits)
    size = len(split.train)
    newest = split.train.rows(np.arange(max(0, size - given.most), size))
    split = Split(newest, *(evenly(part, given.asked) for part in split[1:]))
    print(f"{len(split.train):,} of {size:,} baskets of training, {len(split.test):,} of testing", flush=True)
    config = OutfitConfig(family=FAMILY, attributes=tuple(names), epochs=given.epochs or 2, seed=given.seed)
    comparison = Comparison(data, split, given.seed, config)
    new = split.train.frequency == 0
    asked = {**ASKED, "new article": Question("family", asked=new, offered=new)}
    rows = [
        row for name, each in asked.items() for row in comparison.questions(name, {"test": each, "validation": each})
    ]
    printed([*rows, comparison.auc("AUC")])
    print(f"trained in {comparison.cpu_seconds:.0f} s of processor time", flush=True)


def sample(given: argparse.Namespace) -> None:
    """Print how well models answer about curated outfits that learned from each sort of truth, and the ceiling."""
    sizes = {size: getattr(given, size) for size in ("articles", "customers", "days")}
    config = SampleConfig(photographs=False, seed=given.seed, **sizes)
    with tempfile.TemporaryDirectory() as place:
        generate(place, config)
        source = open_source("sample", place)
        first, last = config.first_day, config.last_day
        products, curated = read(source, "articles", last), read(source, "outfits", last)
        labels = read(source, "annotated_attributes", last)
        events = pd.concat(
            [read(source, "interactions", first + timedelta(days=day)) for day in range(config.days)], ignore_index=True
        )
    wide = labels.pivot(index="article_id", columns="attribute", values="value").reset_index()
    products = products.merge(wide, on="article_id", how="left")
    names = [FAMILY, "brand", "division", *wide.columns.drop("article_id")]
    products["text"] = products["name"].fillna("") + " " + products["description"].fillna("")
    data = Data.of(products, curated, names, FAMILY)
    split = split_by_outfit(data.outfits, given.seed)
    kinds = products.set_index("article_id")[FAMILY]
    truths = {"curated outfits": split.train, **stand_ins(events, kinds, data.articles, given.most)}
    settings = OutfitConfig(
        family=FAMILY, attributes=tuple(names), epochs=given.epochs or 6, batch_size=128, seed=given.seed
    )
    questions = {name: ask(data, split.test, split.train.frequency, each, given.seed) for name, each in ASKED.items()}
    oracle = Oracle.of(config, data.articles)
    rows = [
        row_of(
            "oracle",
            {},
            questions,
            {name: oracle.scorer(0.0 if name == "uniform" else 1.0, split.train.frequency) for name in ASKED},
        )
    ]
    for name, learned in truths.items():
        model = OutfitModel(settings).fit(learned, data.articles)
        scorers = {asked: model.scorer(each.popularity) for asked, each in ASKED.items()}
        rows.append(row_of(name, {"learned from": len(learned.deduplicated())}, questions, scorers))
    for name, control in controls(split.train, data.codes, data.names).items():
        rows.append(row_of(f"control: {name}", {}, questions, dict.fromkeys(ASKED, control)))
    printed(rows)


def stand_ins(events: pd.DataFrame, kinds: pd.Series, articles: Articles, most: int) -> dict[str, Outfits]:
    """Outfits of each sort of behaviour."""
    views = events[events["kind"] == "view"]
    purchases = Interactions.from_frame(events[events["kind"] == "purchase"])
    found = {
        "baskets": baskets(purchases, kinds, most),
        "sessions": sessions(views, kinds, most),
        "next clicks": next_clicks(views, kinds, most),
    }
    return {name: Outfits.from_frame(each, articles) for name, each in found.items()}


def row_of(
    name: str, known: Mapping[str, Any], questions: Mapping[str, Questions], scorers: Mapping[str, Any]
) -> dict[str, Any]:
    """One row of the table: the right answers to each sort of question, with intervals."""
    cells = {
        asked: str(mean_over_outfits(right_answers(scored(scorers[asked], each)), each.outfits))
        for asked, each in questions.items()
    }
    return {"answers": name, "learned from": "", **known, **cells}


def main(given: Sequence[str] | None = None) -> None:
    """Print the tables."""
    asked = arguments(given)
    torch.set_num_threads(asked.threads)
    (sample if asked.sample else hm_week)(asked)


if __name__ == "__main__":
    main()
