"""Attributes and catalogue errors on a sample retailer whose truth is known, without a home and without Dagster.

    python -m benchmarks.sample_attributes --folder FOLDER [--seeds 0 1] [--articles 1200] [--no-photographs]
        [--what values errors] [--changes JSON] [--threads 1]

For each seed a sample retailer of 60 days and 50 customers is generated under FOLDER, unless it is there from a run
before, and its photographs are encoded with the backbone ``small``. Articles and labels are those of the last day.

- ``values``: trains as the stage ``attribute_model`` does, completes the catalogue, and compares the model's values
  with every true value that is not annotated (:mod:`benchmarks.hidden_labels`).
- ``errors``: searches as the stage ``catalogue_errors`` does and compares the list with the labels that are wrong
  (:mod:`benchmarks.planted_errors`): what share of the list is wrong, what share it expects, and the precision of the
  ranking of all labels at the number of wrong ones.
  Its processor time is printed too.
- ``--changes``: fields of the config that differ, as ``{"mentions": false}``. :data:`BEFORE` are those of the network
  before it was told what texts name; ``--changes before`` stands for them.

What belongs here: the data of a seed and the two runs. What does not: the truth and the metrics, which the two modules
named above have.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from atelier.articles.table import Articles
from atelier.attributes import AttributeConfig, complete, fit_and_evaluate, group_image_vectors
from atelier.attributes.label_errors import (
    config_for,
    expected_shares,
    find_label_issues,
    out_of_fold,
    rank_label_issues,
)
from atelier.images import embed_images
from atelier.sources.sample import SampleConfig, generate, is_complete
from benchmarks import hidden_labels, planted_errors
from benchmarks.sample_ceiling import KEY
from resources.compute import Compute

DAYS, CUSTOMERS = 60, 50
BEFORE: dict[str, object] = {
    "image_units": 256,
    "filters": 256,
    "text_units": 256,
    "joint_units": 512,
    "members": 1,
    "mentions": False,
}


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--articles", type=int, default=1200)
    parser.add_argument("--no-photographs", action="store_true")
    parser.add_argument("--what", nargs="+", choices=("values", "errors"), default=["values", "errors"])
    parser.add_argument("--changes", default="{}")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(given)


def snapshot(root: Path, table: str) -> pd.DataFrame:
    """A table of the last day: the file that is valid on it."""
    return pd.read_parquet(max((root / table).glob("ds=*.parquet")))


def sample(folder: Path, config: SampleConfig, threads: int) -> tuple[Path, pd.DataFrame, pd.DataFrame]:
    """The retailer's folder, its articles with the vectors of their photographs, and its labels on the last day.

    Args:
        folder: where retailers are generated, each in a folder of its own.
        config: the retailer's.
        threads: that decode photographs.
    """
    root = folder / f"sample-{config.seed}-{config.articles}-{'with' if config.photographs else 'without'}-photographs"
    if not is_complete(root, config):
        generate(root, config)
    articles, labels = snapshot(root, "articles"), snapshot(root, "annotated_attributes")
    vectors: Any = [[] for _ in range(len(articles))]
    if config.photographs:
        images = snapshot(root, "images").sort_values(["article_id", "shot"])
        images = images[images["article_id"].isin(articles["article_id"])]
        files = [root / "photographs" / path for path in images["path"]]
        found = embed_images(files, "small", None, device="cpu", threads=threads)
        grouped = group_image_vectors(articles["article_id"], images["article_id"], found)
        vectors = pd.arrays.ArrowExtensionArray(pa.chunked_array([grouped]))
    articles = articles.assign(embeddings=vectors)
    articles["photographed"] = Articles.from_frame(articles).image_vectors.counts > 0
    return root, articles, labels[labels["article_id"].isin(articles["article_id"])].reset_index(drop=True)


def values(
    root: Path, retailer: SampleConfig, articles: pd.DataFrame, labels: pd.DataFrame, changes: dict[str, object]
) -> str:
    """The accuracy on true values that nobody annotated, and the share of predictions that abstain."""
    truth = hidden_labels.sample_truth(root / "truth", retailer.last_day)
    truth = truth[truth["article_id"].isin(articles["article_id"])]
    config = AttributeConfig.for_data(labels["article_id"].nunique())
    model, _ = fit_and_evaluate(articles, labels, AttributeConfig.model_validate(config.model_dump() | changes))
    table = complete(model, articles, labels).to_pandas()
    open_ = table.loc[table["source"] != "annotated", "source"].eq("abstained").mean()
    return f"{hidden_labels.as_text(hidden_labels.evaluate(table, truth))}\nabstained: {open_:.3f}"


def errors(
    root: Path, retailer: SampleConfig, articles: pd.DataFrame, labels: pd.DataFrame, changes: dict[str, object]
) -> str:
    """How many of the listed labels are wrong, what the list expects, and the precision of the whole ranking."""
    truth = hidden_labels.sample_truth(root / "truth", retailer.last_day).rename(columns={"value": "truth"})
    known = labels.merge(truth, on=KEY, validate="one_to_one")
    known = known.assign(wrong=known["value"] != known["truth"])
    known = known.assign(revealed=planted_errors.revealed(known, articles))
    config = AttributeConfig.model_validate(config_for(labels["article_id"].nunique()).model_dump() | changes)
    busy = time.process_time()
    judged = out_of_fold(articles, labels, config).judged
    busy = time.process_time() - busy
    ranked = rank_label_issues(judged)
    issues = find_label_issues(ranked)
    listed = planted_errors.evaluate(known, issues)
    whole = planted_errors.evaluate(known, ranked).iloc[-1]
    expected = expected_shares(judged, issues).iloc[-1]
    total = listed.iloc[-1]
    return "\n".join(
        [
            planted_errors.as_text(listed),
            f"the list: {total['hits']} of {total['listed']} are wrong ({total['hits'] / max(total['listed'], 1):.3f}),"
            f" expected {expected['expected_share']:.3f} ({expected['low']:.3f} to {expected['high']:.3f})",
            f"all labels ranked: precision {whole['precision']:.3f} at the {whole['wrong']} wrong of {whole['labels']},"
            f" average precision {whole['average_precision']:.3f}",
            f"out of fold: {busy:.0f} s of processor",
        ]
    )


def main(given: Sequence[str] | None = None) -> None:
    """Run and print."""
    options = arguments(given)
    Compute("cpu", options.threads).apply()
    changes = BEFORE if options.changes == "before" else json.loads(options.changes)
    for seed in options.seeds:
        config = SampleConfig(
            seed=seed, articles=options.articles, customers=CUSTOMERS, days=DAYS, photographs=not options.no_photographs
        )
        root, articles, labels = sample(options.folder, config, options.threads)
        print(f"seed {seed}: {len(articles)} articles, {len(labels)} labels", flush=True)
        for what, run in (("values", values), ("errors", errors)):
            if what in options.what:
                print(run(root, config, articles, labels, changes), flush=True)


if __name__ == "__main__":
    main()
