"""A backbone fine-tuned on photographs of H&M, and its vectors before and after.

Run it as ``python -m benchmarks.hm_backbone --data FOLDER --weights FILE``. FOLDER holds articles.csv and images as in
the Kaggle data. The backbone is fine-tuned on the nine attributes of the training articles alone: by default those that
are left when 32% of the styles (product_code) are held out; ``--split FILE`` names them, as JSON
``{"train": [article_id…]}``. It prints the weighted F1 of a logistic regression on the vectors, before and after, on
the articles that are not in training, and with ``--out FILE.npz`` writes all vectors after fine-tuning (``vectors``
float32 [articles, dimension], ``names`` article ids).
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.hm_articles import ATTRIBUTES, TEST_SHARE, photographed


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder with articles.csv and images")
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument("--weights", default="DEFAULT", help="DEFAULT, a .safetensors file, or none")
    parser.add_argument("--preprocessing", default='{"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}', metavar="JSON")
    parser.add_argument("--split", type=Path, help="a JSON file with the article ids of training")
    parser.add_argument("--config", default="{}", metavar="JSON", help="fields of FineTuningConfig")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--bundle", type=Path, help="where to write the backbone")
    parser.add_argument("--out", type=Path, help="where to write the vectors, as .npz")
    parser.add_argument("--no-judge", action="store_true", help="leave the logistic regressions out")
    return parser.parse_args(given)


def training_rows(frame: pd.DataFrame, split: Path | None) -> npt.NDArray[np.bool_]:
    """Which photographs are for training: bool [photographs]."""
    from atelier.attributes import holdout

    if split is None:
        return ~holdout(frame, TEST_SHARE)
    return frame["article_id"].isin(json.loads(split.read_text())["train"]).to_numpy()


def evaluate(frame: pd.DataFrame, train: npt.NDArray[np.bool_], vectors: npt.NDArray[np.float32]) -> "pd.Series[float]":
    """Weighted F1 by attribute of a logistic regression on the vectors, on the photographs that are not in training."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scores = {}
    for attribute in ATTRIBUTES:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
        model.fit(vectors[train], frame.loc[train, attribute])
        guessed = model.predict(vectors[~train])
        scores[attribute] = f1_score(frame.loc[~train, attribute], guessed, average="weighted", zero_division=0)
    return pd.Series(scores)


def main(given: Sequence[str] | None = None) -> None:
    """Fine-tune, encode, print."""
    options = arguments(given)
    from atelier.images import Encoder, FineTuningConfig, Preprocessing, finetune
    from atelier.images.backbones import build_backbone
    from resources.compute import Compute

    device = Compute(options.device, options.threads).apply()
    frame = photographed(options.data)
    train = training_rows(frame, options.split)
    root = options.data / "images"
    preprocessing = Preprocessing.model_validate_json(options.preprocessing)
    weights = None if options.weights == "none" else options.weights
    backbone = build_backbone(options.backbone, weights, preprocessing=preprocessing)
    labels = frame[train].melt("article_id", list(ATTRIBUTES), var_name="attribute")
    start = time.perf_counter()
    tuned = finetune(
        backbone,
        frame.loc[train, ["article_id", "path", "product_code"]],
        labels,
        root=root,
        device=device,
        config=FineTuningConfig.model_validate_json(options.config),
        threads=options.threads,
    )
    print(f"fine-tuned from {tuned.cut} in {time.perf_counter() - start:.0f} s: {tuned.summary}")
    print(pd.DataFrame([epoch.as_row() for epoch in tuned.history]).round(4).to_string(index=False))
    print(tuned.metrics.pivot(index="attribute", columns="metric", values="value").round(3).to_string())
    if options.bundle:
        tuned.save(options.bundle)
    paths = frame["path"].tolist()
    after = Encoder(tuned.backbone, device=device).encode(paths, root).vectors
    if options.out:
        np.savez(options.out, vectors=after, names=frame["article_id"].to_numpy(dtype="U"))
    if not options.no_judge:
        before = Encoder(backbone, device=device).encode(paths, root).vectors
        table = pd.DataFrame({"before": evaluate(frame, train, before), "after": evaluate(frame, train, after)})
        table.loc["mean"] = table.mean()
        print(f"\nlogistic regression on {train.sum()} articles, weighted F1 on {(~train).sum()} further ones")
        print(table.round(3).to_string())


if __name__ == "__main__":
    main()
