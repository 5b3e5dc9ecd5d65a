"""The most that any recommender can reach on the sample retailer: ranking by the generator's own choice probabilities.

    python -m benchmarks.sample_oracle [--home FOLDER] [--day 2025-05-01] [--k 10] [--seen excluded allowed]

The customers, the truth and what is left out are those of the recommender study of that day: lists are made on
``day − horizon`` from what was known then, and judged by the purchases of the days up to ``day``, of customers with
history. Without ``--home`` it is ``$ATELIER_HOME``; its interactions and articles of those days have to be ingested.

Three rows: ``ceiling`` ranks everything that is on sale within the horizon, also what comes only then; ``in stock`` is
the same among the articles in stock on the day of the lists, which is all that models without content may recommend;
``popularity`` is what takes no knowledge of anybody. The probabilities are exact but for customers who come back to
what they bought: with ``--seen allowed`` it is no strict ceiling.

What belongs here: reading a home, the rows. What does not: the probabilities (:mod:`atelier.sources.sample.choice`).
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pandas as pd

from atelier.catalogue import Catalogue
from atelier.interactions import Interactions
from atelier.metrics import PURCHASE, TRAIN_KINDS
from atelier.sources.sample import oracle_lists
from atelier.studies.recommender_plan import RecommenderStudyPlan, StudiedModel
from atelier.studies.recommender_scores import RecommenderFitResult, evaluated_customers
from atelier.studies.recommender_study import evaluate_lists, run_study
from atelier.studies.recommender_tables import scores_of
from resources.frames import dictionary_table
from resources.retailer import Home
from sql import query


@dataclass(frozen=True)
class Asked:
    """What the study of a day asks.

    Attributes:
        retailer: the folder of the generated retailer.
        origin: the day of the lists.
        horizon: days that are judged, from the one after ``origin``.
        train: what customers did up to ``origin``.
        truth: what they purchased afterwards.
        sold: the articles as they were on ``origin``.
    """

    retailer: Path
    origin: date
    horizon: int
    train: Interactions
    truth: Interactions
    sold: Catalogue


def asked_on(home: Home, day: date) -> Asked:
    """What the study asks on a day.

    Raises:
        SystemExit: the home does not serve the sample retailer.
        PartitionMissing: the articles of the day of the lists were not ingested.
    """
    settings = home.settings
    if settings.source != "sample":
        raise SystemExit(f"error: {home.root} serves {settings.source}, whose choice probabilities nobody knows")
    origin, store = day - timedelta(days=settings.horizon), home.open_store()
    with store.connect(as_of=origin, tables=["interactions", "articles"]) as con:
        known = con.sql(query("training_interactions"), params={"kinds": list(TRAIN_KINDS)})
        train = Interactions.from_frame(dictionary_table(known))
        sold = Catalogue.from_frames(con.table("articles").order("article_id").df())
    with store.connect(as_of=day, tables=["interactions"]) as con:
        truth = con.sql(query("truth"), params={"origin": origin, "kinds": list(PURCHASE)}).df()
    return Asked(home.root / settings.path, origin, settings.horizon, train, Interactions.from_frame(truth), sold)


def oracle_precision(asked: Asked, k: int = 10, *, exclude_seen: bool = True) -> pd.DataFrame:
    """The scores of the ceiling, as :func:`atelier.studies.recommender_study.scores_of` gives them.

    Args:
        asked: the question.
        k: the length of lists.
        exclude_seen: whether lists, and what is right, leave out what was purchased up to the day of the lists.

    Raises:
        StudyError: nobody can be judged.
    """
    models = {"popularity": StudiedModel(recommender="popular")}
    plan = RecommenderStudyPlan(models=models, seeds=(0,), shares=(1.0,), k=k, exclude_seen=exclude_seen)
    in_stock = asked.sold.frame["article_id"][asked.sold.in_stock]
    results = [
        ceiling(asked, plan, "ceiling"),
        ceiling(asked, plan, "in stock", in_stock.tolist()),
        *run_study(asked.train, asked.truth, plan, catalogue=asked.sold),
    ]
    return scores_of(results)


def ceiling(
    asked: Asked, plan: RecommenderStudyPlan, name: str, candidates: Sequence[str] | None = None
) -> RecommenderFitResult:
    """The generator's own ranking, of all articles or of some."""
    seen = asked.train.of_kinds(PURCHASE).to_frame() if plan.exclude_seen else None
    customers = evaluated_customers(asked.train, asked.truth).tolist()
    lists = oracle_lists(
        asked.retailer, customers, asked.origin, asked.horizon, plan.k, seen=seen, candidates=candidates
    )
    return evaluate_lists(name, lists, asked.train, asked.truth, plan, catalogue=asked.sold)


def main() -> None:
    """Read the home, rank, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--day", type=date.fromisoformat, help="the last day judged; by default the home's last")
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--seen", nargs="+", choices=["excluded", "allowed"], default=["excluded"])
    options = parser.parse_args()
    home = Home(options.home.resolve()) if options.home else Home.from_environment()
    day = options.day or home.settings.last_day
    if day is None:
        raise SystemExit("error: the home has no last day: say --day")
    asked = asked_on(home, day)
    for seen in options.seen:
        scores = oracle_precision(asked, options.k, exclude_seen=seen == "excluded")
        print(f"\nlists of {asked.origin}, judged until {day}, seen {seen}")
        print(scores[scores["segment"] == "all"].drop(columns=["share", "segment", "deviation"]).to_string(index=False))


if __name__ == "__main__":
    main()
