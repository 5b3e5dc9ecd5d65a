"""The best scores possible on the sample retailer, of a ranking by the generator's own choice probabilities.

    python -m benchmarks.sample_oracle [--home FOLDER] [--day 2025-05-01] [--k 10] [--seen excluded allowed]

The customers, the truth and the filters are those of the recommender study of that day: lists are made on
``day − horizon`` from the data up to then, and evaluated on the purchases of the days up to ``day``, of customers with
history. The home is ``--home`` or ``$ATELIER_HOME``; its interactions and articles of those days have to be ingested.

Three rows: ``ceiling`` ranks all articles on sale within the horizon, including those that come on sale in it; ``in
stock`` ranks only the articles in stock on the day of the lists, as models without content have to; ``popularity`` is
the model that is not personalised. The probabilities are exact except for repeat purchases: with ``--seen allowed``
``ceiling`` is not a strict upper bound.

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
from resources.retailer import Home
from resources.training_interactions import training_interactions
from sql import query


@dataclass(frozen=True)
class StudyData:
    """The data of the recommender study of a day.

    Attributes:
        retailer: the folder of the generated retailer.
        origin: the day of the lists.
        horizon: the number of days of the evaluation, the first of which is the day after ``origin``.
        train: the interactions up to ``origin``.
        truth: the purchases after it.
        sold: the articles as they were on ``origin``.
    """

    retailer: Path
    origin: date
    horizon: int
    train: Interactions
    truth: Interactions
    sold: Catalogue


def study_data(home: Home, day: date) -> StudyData:
    """Read the data of the study of a day.

    Raises:
        SystemExit: the home's source is not the sample retailer.
        PartitionMissing: the articles of the day of the lists were not ingested.
    """
    settings = home.settings
    if settings.source != "sample":
        raise SystemExit(f"error: {home.root} serves {settings.source}, whose choice probabilities are not known")
    origin, store = day - timedelta(days=settings.horizon), home.open_store()
    train = training_interactions(store, TRAIN_KINDS, origin)
    with store.connect(as_of=origin, tables=["articles"]) as con:
        sold = Catalogue.from_frames(con.table("articles").order("article_id").df())
    with store.connect(as_of=day, tables=["interactions"]) as con:
        truth = con.sql(query("truth"), params={"origin": origin, "kinds": list(PURCHASE)}).df()
    return StudyData(home.root / settings.path, origin, settings.horizon, train, Interactions.from_frame(truth), sold)


def oracle_precision(data: StudyData, k: int = 10, *, exclude_seen: bool = True) -> pd.DataFrame:
    """The scores of the ceiling, as :func:`atelier.studies.recommender_study.scores_of` gives them.

    Args:
        data: the data of the study.
        k: the length of lists.
        exclude_seen: whether lists and truth leave out articles purchased up to the day of the lists.

    Raises:
        StudyError: no customer can be evaluated.
    """
    models = {"popularity": StudiedModel(recommender="popular")}
    plan = RecommenderStudyPlan(models=models, seeds=(0,), shares=(1.0,), k=k, exclude_seen=exclude_seen)
    in_stock = data.sold.frame["article_id"][data.sold.in_stock]
    results = [
        ceiling(data, plan, "ceiling"),
        ceiling(data, plan, "in stock", in_stock.tolist()),
        *run_study(data.train, data.truth, plan, catalogue=data.sold),
    ]
    return scores_of(results)


def ceiling(
    data: StudyData, plan: RecommenderStudyPlan, name: str, candidates: Sequence[str] | None = None
) -> RecommenderFitResult:
    """The result of the generator's own ranking, of all articles or of some."""
    seen = data.train.of_kinds(PURCHASE).to_frame() if plan.exclude_seen else None
    customers = evaluated_customers(data.train, data.truth).tolist()
    lists = oracle_lists(data.retailer, customers, data.origin, data.horizon, plan.k, seen=seen, candidates=candidates)
    return evaluate_lists(name, lists, data.train, data.truth, plan, catalogue=data.sold)


def main() -> None:
    """Read the home, rank, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path)
    parser.add_argument(
        "--day", type=date.fromisoformat, help="the last day of the evaluation; by default the home's last day"
    )
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--seen", nargs="+", choices=["excluded", "allowed"], default=["excluded"])
    options = parser.parse_args()
    home = Home(options.home.resolve()) if options.home else Home.from_environment()
    day = options.day or home.settings.last_day
    if day is None:
        raise SystemExit("error: the home has no last day: give --day")
    data = study_data(home, day)
    for seen in options.seen:
        scores = oracle_precision(data, options.k, exclude_seen=seen == "excluded")
        print(f"\nlists of {data.origin}, evaluated until {day}, seen {seen}")
        print(scores[scores["segment"] == "all"].drop(columns=["share", "segment", "deviation"]).to_string(index=False))


if __name__ == "__main__":
    main()
