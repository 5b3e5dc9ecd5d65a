"""Sequence models by the protocol of published figures: each customer's last interaction is the truth.

    python -m benchmarks.leave_one_out --sequences FILE [--models transformer als popularity] [--transformer JSON]
        [--sequencer JSON] [--als JSON] [--seeds 3] [--validation] [--kept FOLDER] [--threads 2] [--device cpu]

``FILE`` has a line for each customer: the customer's number, then the articles' in order. Of each customer the
last interaction is the truth and the last but one decides when training stops: it is read at the evaluation and never
trained on. All articles are ranked, without those the customer had. ``--validation`` leaves the truth out and
predicts the last but one, for choosing settings; then the last but two decides when training stops. Printed are
recall@10 (of a single truth also the hit rate) and NDCG@10, and their mean and deviation over seeds.

What belongs here: reading the file, the protocol, printing. What does not: the study
(:mod:`atelier.studies.recommender_study`).
"""

import argparse
import hashlib
import json
import os
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pandas as pd
import torch

from atelier.interactions import Interactions
from atelier.studies.recommender_plan import RecommenderStudyPlan, StudiedModel
from atelier.studies.recommender_study import run_study
from atelier.studies.recommender_tables import paired_tests_of, scores_of
from atelier.studies.results_cache import ResultsCache

SHOWN = ("recall", "ndcg")
SEQUENCE_MODELS = ("transformer", "sequencer")
#: What the protocol says of validation, and what is not there: content, kinds and times.
PROTOCOL: dict[str, object] = {"mode": "collaborative", "reads_kinds": False, "reads_gaps": False}
PROTOCOL |= {"validation_share": 1.0, "validation_customers": 10**9, "held_out": "interaction"}
PROTOCOL |= {"counts_held_out": False}


def read(file: Path) -> Interactions:
    """The interactions of a file of sequences."""
    lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    frame = pd.DataFrame({"customer_id": [line[0] for line in lines], "article_id": [line[1:] for line in lines]})
    return Interactions.from_frame(frame.explode("article_id", ignore_index=True))


def plan_of(options: argparse.Namespace) -> RecommenderStudyPlan:
    """The plan of the options."""
    known = {
        "popularity": StudiedModel(recommender="popular"),
        "als": StudiedModel(recommender="als", config=options.als),
    }
    for name in SEQUENCE_MODELS:
        known[name] = StudiedModel(recommender=name, config=PROTOCOL | getattr(options, name))
    return RecommenderStudyPlan(
        models={name: known[name] for name in options.models},
        seeds=tuple(range(options.seeds)),
        shares=(1.0,),
        exclude_seen=True,
    )


def main() -> None:
    """Run the study and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=Path, required=True)
    parser.add_argument("--models", nargs="+", default=["transformer", "als", "popularity"])
    for name in (*SEQUENCE_MODELS, "als"):
        parser.add_argument(f"--{name}", type=json.loads, default={}, metavar="JSON")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--validation", action="store_true")
    parser.add_argument("--kept", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="where the models compute, as PyTorch names it, or auto")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train, truth = read(options.sequences).leave_last_out()
    if options.validation:
        train, truth = train.leave_last_out()
    data = {"file": hashlib.sha256(options.sequences.read_bytes()).hexdigest(), "validation": str(options.validation)}
    cache = ResultsCache(options.kept) if options.kept else None
    results = run_study(train, truth, plan_of(options), cache=cache, data=data, device=options.device)
    scores = scores_of(results)
    shown = scores[(scores["segment"] == "all") & scores["metric"].isin(SHOWN) & (scores["k"] == 10)]
    print(
        f"{len(train):,} interactions, {results[0].judged:,} customers evaluated, {len(train.article_ids):,} articles"
    )
    print(shown[["model", "metric", "value", "deviation", "standard_error"]].to_string(index=False))
    print(paired_tests_of(results).to_string(index=False))
    for result in results:
        print(f"{result.model}, seed {result.seed}: {result.epochs} epochs, {result.seconds:.0f} s of processor")


if __name__ == "__main__":
    main()
