"""Settings of a recommender tuned on validation data without dates, then judged once on data that no trial has seen.

    python -m benchmarks.hm_tuning --hm-sequences FOLDER --articles FILE.csv --study FOLDER
        [--model hybrid] [--fixed JSON] [--customers 10000] [--trials 30] [--metric hit_rate] [--k 14] [--threads 1]
        [--first JSON …] [--out FILE.json]

The data are those of the protocol ``reference`` of :mod:`benchmarks.hm_recommenders`: sequences of purchases without
dates, consecutive repeats dropped, customers with 3 purchases or more. Only ``--customers`` of them, chosen by a fixed
seed, are read: the last purchase of each is the test, the one before it the validation. Lists may hold repeats.

Trials are fitted on what comes before the validation purchases, and judged by these. Then three models are fitted on
all but the test purchases and judged by them: the default settings, the best ones, als with its defaults. The study is
kept in a folder, so that a killed run resumes and ``--trials`` can be raised.

What belongs here: the protocol, printing. What does not: the search (:mod:`atelier.studies.tuning`).
"""

import argparse
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from atelier.catalogue import Catalogue
from atelier.interactions import Interactions
from atelier.recommenders import MODELS, declared
from atelier.studies.recommender_plan import RecommenderStudyPlan, StudiedModel
from atelier.studies.recommender_study import run_study
from atelier.studies.recommender_tables import scores_of
from atelier.studies.tuning import tune
from atelier.studies.tuning_plan import Tuning, TuningPlan
from atelier.studies.tuning_tables import parameters_of, trials_of
from benchmarks.hm_recommenders import catalogue, fingerprint, read_sequences, reference_purchases, vectors_digest

RIVAL = "als"


def chosen_customers(purchases: Interactions, customers: int, seed: int = 0) -> Interactions:
    """The purchases of some customers.

    Args:
        purchases: of all.
        customers: how many, at most.
        seed: of the choice.
    """
    total = len(purchases.customer_ids)
    chosen = np.zeros(total, dtype=bool)
    chosen[np.random.default_rng(seed).permutation(total)[:customers]] = True
    return purchases.rows(chosen[purchases.customers])


def plan_of(options: argparse.Namespace) -> TuningPlan:
    """The search that the options ask for."""
    return TuningPlan(
        model=options.model,
        fixed=options.fixed,
        tried_first=tuple(options.first),
        trials=options.trials,
        metric=options.metric,
        k=options.k,
        exclude_seen=False,
    )


def tuned(train: Interactions, truth: Interactions, sold: Catalogue, options: argparse.Namespace) -> Tuning:
    """The search, kept in the folder of the options."""
    identity = {"train": fingerprint(train), "truth": fingerprint(truth), "articles": vectors_digest(sold)}
    storage = options.study / "trials.db"
    return tune(train, truth, plan_of(options), catalogue=sold, storage=storage, data=identity)


def judged(
    train: Interactions, truth: Interactions, sold: Catalogue, found: Tuning, options: argparse.Namespace
) -> pd.DataFrame:
    """The metric of the default settings, the best ones and als's defaults on purchases that no trial has seen.

    Returns:
        model, value, standard_error, customers.
    """
    settings: dict[str, tuple[str, dict[str, Any]]] = {
        "default": (found.plan.model, dict(found.default.settings)),
        "tuned": (found.plan.model, dict(found.best.settings)),
        RIVAL: (RIVAL, {}),
    }
    models = {
        name: StudiedModel(
            recommender=model, config=config, reads_content=declared(model).config.model_validate(config).reads_content
        )
        for name, (model, config) in settings.items()
    }
    plan = RecommenderStudyPlan(models=models, seeds=(0,), shares=(1.0,), k=options.k, exclude_seen=False)
    scores = scores_of(run_study(train, truth, plan, catalogue=sold))
    rows = scores[(scores["segment"] == "all") & (scores["metric"] == options.metric) & (scores["k"] == options.k)]
    figures: pd.DataFrame = rows[["model", "value", "standard_error", "customers"]].reset_index(drop=True)
    return figures


def report(found: Tuning, test: pd.DataFrame) -> None:
    """Print the trials, what was best, and the figures of the test."""
    trials, plan = trials_of(found), found.plan
    states = trials["state"].value_counts()
    ended = ", ".join(f"{count} {state}" for state, count in states.items())
    print(f"\n## {plan.model}: {len(trials)} trials ({ended}), study {found.study}")
    shown = trials.sort_values("value", ascending=False, na_position="last")
    print(shown[["trial", "state", "origin", "value", "standard_error", "epochs", "settings"]].to_string(index=False))
    print("\nwhat was searched")
    print(parameters_of(found)[["parameter", "searched", "best_value", "importance"]].to_string(index=False))
    print(f"\nthe test: {plan.metric}@{plan.k} of purchases that no trial has seen")
    print(test.to_string(index=False), flush=True)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hm-sequences", type=Path, required=True)
    parser.add_argument("--articles", type=Path, required=True)
    parser.add_argument("--study", type=Path, required=True)
    parser.add_argument("--model", choices=list(MODELS), default="hybrid")
    parser.add_argument("--fixed", type=json.loads, default={})
    parser.add_argument("--first", type=json.loads, nargs="*", default=[])
    parser.add_argument("--customers", type=int, default=10_000)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--metric", choices=["precision", "recall", "hit_rate", "ndcg"], default="hit_rate")
    parser.add_argument("--k", type=int, default=14)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    return parser.parse_args(given)


def main() -> None:
    """Read, tune, judge, print."""
    options = arguments()
    from resources.compute import Compute

    Compute("cpu", options.threads).apply()
    sold = catalogue(pd.read_csv(options.articles, dtype="str"))
    purchases = chosen_customers(reference_purchases(read_sequences(options.hm_sequences)), options.customers)
    known, test = purchases.leave_last_out()
    train, validation = known.leave_last_out()
    found = tuned(train, validation, sold, options)
    seconds = time.process_time()
    figures = judged(known, test, sold, found, options)
    report(found, figures)
    print(
        f"\nprocessor seconds: {sum(trial.seconds for trial in found.trials):.0f} of all trials, "
        f"{time.process_time() - seconds:.0f} of the three fits of the test"
    )
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        written = {"tuning": found.model_dump(mode="json"), "test": json.loads(figures.to_json(orient="records"))}
        options.out.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
