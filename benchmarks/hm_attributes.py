"""The attribute network against linear classifiers on H&M's photographed articles, nine attributes.

    python -m benchmarks.hm_attributes --hm FOLDER --weights FILE [--vectors FOLDER] [--finetuned]
        [--hide] [--ablation] [--seeds 0 1] [--threads 2]

FOLDER holds articles.csv and images as in the Kaggle data, FILE the weights of MobileNetV2 (ImageNet). 32% of the
styles (product_code) are held out, so that no style is both in training and test. All models read the name, the
description and the photograph, and no metadata, from which the attributes could be derived. The metric is weighted F1.

A photograph is encoded in up to three ways: as the 1,280 features of MobileNetV2; as these and the 578 of the backbone
``small``, which is not trained and measures colours, to which MobileNetV2 is not sensitive (``and colour``); and, with
``--finetuned``, as the 1,280 and 578 after MobileNetV2 was fine-tuned on the training articles (``tuned``). The linear
classifiers are those of :mod:`atelier.studies.linear_baselines`: on the text, on the vector of the photograph, on both
joined. The baselines read MobileNetV2 as published; the other linear classifiers show how much of the gain is due to
the vectors and not to the network. All models predict every value, however rare. Options:

- ``--vectors``: a folder in which vectors are stored between runs, one file for each way of encoding. It is not checked
  that a file was made with the given weights.
- ``--hide``: train once more with labels hidden at the published rates, see :data:`MISSING`.
- ``--ablation``: the effect of each option of the network, on validation styles of the training part; no test.

What belongs here: the comparison, its metrics and tables, the vectors. What does not: reading the data
(:mod:`benchmarks.hm_articles`), the models.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from atelier.attributes import AttributeConfig, AttributeModel, holdout
from atelier.attributes.scores import accuracy, positions_of, weighted_f1
from atelier.studies.linear_baselines import Kind, fit_linear_baseline
from benchmarks.hm_articles import ATTRIBUTES, TEST_SHARE, photographed, with_labels

KEY = ["article_id", "attribute"]
KINDS: tuple[Kind, ...] = ("text", "image", "joined")
TUNING_SHARE = 0.15
Vectors = npt.NDArray[np.float32]

#: The share of labels that ``--hide`` hides: the published range begins at 13%, most attributes lack 70 to 75% of their
#: labels, and two have labels on the same 5% of the articles. The published maximum, 99.9%, would leave five labels.
MISSING = {
    "product_group_name": 0.13,
    "product_type_name": 0.70,
    "garment_group_name": 0.71,
    "section_name": 0.72,
    "index_group_name": 0.73,
    "colour_group_name": 0.74,
    "perceived_colour_master_name": 0.75,
    "perceived_colour_value_name": 0.95,
    "graphical_appearance_name": 0.95,
}
TOGETHER = ("perceived_colour_value_name", "graphical_appearance_name")

EVERY_VALUE: dict[str, object] = {"min_samples": 1}

#: What ``--ablation`` changes, one at a time, in the config that suits the data.
ABLATION: Mapping[str, dict[str, object]] = {
    "as it is": {},
    "values with 5 labels": {"min_samples": 5},
    "one member": {"members": 1},
    "no pairs of words": {"pair_units": 0},
    "no label smoothing": {"label_smoothing": 0.0},
    "no class weights": {"class_weighting": 0.0},
    "no noise": {"modality_dropout": 0.0, "word_dropout": 0.0},
}


@dataclass(frozen=True)
class Side:
    """One side of a split: articles and their labels.

    Attributes:
        articles: article_id, product_code, name, description, embeddings.
        labels: article_id, attribute, value.
    """

    articles: pd.DataFrame
    labels: pd.DataFrame

    def part(self, chosen: npt.NDArray[np.bool_]) -> "Side":
        """Some of the articles with their labels."""
        articles = self.articles[chosen]
        return Side(articles, self.labels[self.labels["article_id"].isin(articles["article_id"])])

    def lacking(self, *columns: str) -> "Side":
        """The same side without some columns of the articles."""
        return replace(self, articles=self.articles.drop(columns=list(columns)))


def cached_vectors(file: Path | None, files: pd.DataFrame, compute: Callable[[], Vectors]) -> Vectors:
    """The vectors of ``files`` from an .npz file, which is written if it does not exist."""
    names = files["article_id"].to_numpy(dtype="U")
    if file is None or not file.exists():
        vectors = compute()
        if file is not None:
            np.savez(file, vectors=vectors, names=names)
        return vectors
    with np.load(file) as found:
        rows = pd.Index(found["names"]).get_indexer(pd.Index(names))
        if (rows < 0).any():
            raise SystemExit(f"error: {file} lacks {int((rows < 0).sum())} of {len(names)} articles; remove it")
        chosen: Vectors = found["vectors"][rows]
    return chosen


class Photographs:
    """Vectors of the photographs, encoded once and stored in a folder.

    Args:
        root: the folder of images.
        files: article_id and path below ``root``; for ``tuned`` also product_code and the attributes.
        learn_from: bool [files]: the photographs on which a backbone may be fine-tuned.
        weights: of MobileNetV2: ``DEFAULT``, or a .safetensors file.
        folder: where vectors are stored; None: they are not.
        threads: threads that decode.
    """

    def __init__(
        self,
        root: Path,
        files: pd.DataFrame,
        learn_from: npt.NDArray[np.bool_],
        *,
        weights: str,
        folder: Path | None,
        threads: int,
    ) -> None:
        self.root, self.files, self.learn_from = root, files, learn_from
        self.weights, self.folder, self.threads = weights, folder, threads

    def vectors(self, *names: str) -> Vectors:
        """The concatenated vectors of some of ``mobilenet``, ``colour`` and ``tuned``: float32 [files, dim]."""
        folder = self.folder
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
        parts = [cached_vectors(folder and folder / f"{n}.npz", self.files, lambda n=n: self._encode(n)) for n in names]  # type: ignore[misc]
        return np.concatenate(parts, axis=1)

    def _encode(self, name: str) -> Vectors:
        from atelier.images import Encoder

        if name == "colour":
            encoder = Encoder.build("small", None, device="cpu", threads=self.threads)
        else:
            encoder = Encoder(self._mobilenet(tuned=name == "tuned"), device="cpu", threads=self.threads)
        found = encoder.encode(self.files["path"].tolist(), self.root)
        if found.errors:
            raise SystemExit(f"error: {len(found.errors)} photographs cannot be read, first {found.errors[0]}")
        return found.vectors

    def _mobilenet(self, *, tuned: bool) -> Any:
        from atelier.images import Preprocessing
        from atelier.images.backbones import build_backbone
        from atelier.images.finetuning import finetune

        preprocessing = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
        backbone = build_backbone("mobilenet_v2", self.weights, preprocessing=preprocessing)
        if not tuned:
            return backbone
        mine = self.files[self.learn_from]
        labels = mine.melt("article_id", list(ATTRIBUTES), var_name="attribute")
        photos = mine[["article_id", "path", "product_code"]]
        return finetune(backbone, photos, labels, root=self.root, threads=self.threads).backbone


def hide(labels: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The labels left at the rates :data:`MISSING`; the attributes of :data:`TOGETHER` keep the same articles."""
    generator = np.random.default_rng(seed)
    ids = np.sort(labels["article_id"].unique())
    draws = pd.DataFrame(generator.random((len(ids), len(MISSING))), index=ids, columns=list(MISSING))
    draws[TOGETHER[1]] = draws[TOGETHER[0]]
    left = (draws >= pd.Series(MISSING)).stack()
    return labels[left.loc[pd.MultiIndex.from_frame(labels[KEY])].to_numpy()]


def scores(predicted: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Accuracy and weighted F1 by attribute, in the order of ``truth``, and last their means.

    A missing prediction, or a true value that is not in training, counts as an error.
    """
    both = truth.merge(predicted[[*KEY, "value"]], on=KEY, how="left", suffixes=("", "_said"))
    rows = {}
    for attribute, mine in both.groupby("attribute", sort=False):
        true, said = positions_of((), mine["value"], mine["value_said"])
        rows[attribute] = {"accuracy": accuracy(true, said), "weighted F1": weighted_f1(true, said)}
    table = pd.DataFrame(rows).T
    table.loc["mean"] = table.mean()
    return table


class Race:
    """Models trained on one side and tested on the other; collects scores and seconds by name."""

    def __init__(self, train: Side, test: Side, seeds: list[int]) -> None:
        self.train, self.test, self.seeds = train, test, seeds
        self.figures: dict[str, pd.Series[float]] = {}
        self.seconds: dict[str, float] = {}

    def peer(self, name: str, kind: Kind, train: Side | None = None, test: Side | None = None) -> None:
        """Train and test a linear classifier."""
        train, test = train or self.train, test or self.test
        start = time.perf_counter()
        model = fit_linear_baseline(kind, train.articles, train.labels)
        self._note(name, start, [scores(model.predict(test.articles), self.test.labels)["weighted F1"]])

    def network(
        self, name: str, train: Side | None = None, test: Side | None = None, changes: dict[str, object] | None = None
    ) -> None:
        """Train and test the network, once for each seed; the scores are means over seeds."""
        train, test = train or self.train, test or self.test
        start, found = time.perf_counter(), []
        for seed in self.seeds:
            config = AttributeConfig.for_data(train.labels["article_id"].nunique())
            config = AttributeConfig.model_validate(
                config.model_dump() | EVERY_VALUE | (changes or {}) | {"seed": seed}
            )
            model = AttributeModel(config).fit(train.articles, train.labels)
            found.append(scores(model.predict(test.articles), self.test.labels)["weighted F1"])
        self._note(name, start, found)

    def _note(self, name: str, start: float, found: list[Any]) -> None:
        self.figures[name] = pd.concat(found, axis=1).mean(axis=1)
        self.seconds[name] = (time.perf_counter() - start) / len(found)
        print(f"{name}: mean {self.figures[name]['mean']:.4f}, {self.seconds[name]:.0f} s", flush=True)

    def table(self) -> pd.DataFrame:
        """The scores by attribute; the last row holds the seconds."""
        return pd.DataFrame([*self._rows()]).T

    def _rows(self) -> list[Any]:
        return [pd.concat([f, pd.Series({"seconds": self.seconds[n]})]).rename(n) for n, f in self.figures.items()]


def compare(race: Race, seen: Mapping[str, tuple[Side, Side]]) -> None:
    """Run the models of the main table; ``seen``: both sides with other vectors, by the name of their columns."""
    for kind in KINDS:
        race.peer(f"{kind} LR", kind)
    race.network("text net", race.train.lacking("embeddings"), race.test.lacking("embeddings"))
    race.network("net")
    for name, sides in seen.items():
        race.peer(f"image LR {name}", "image", *sides)
        race.peer(f"joined LR {name}", "joined", *sides)
        race.network(f"net {name}", *sides)
    best = pd.concat([race.figures[f"{kind} LR"] for kind in KINDS], axis=1).max(axis=1)
    print(race.table().round(3).T.to_string())
    alone = race.figures["text net"] - race.figures["text LR"]
    print(f"\ntext alone: the network's mean − LR's {alone['mean']:+.3f}; not beaten: {_not_beaten(alone)}")
    nets = {name: race.figures[name] - best for name in ["net", *(f"net {name}" for name in seen)]}
    print("gain over the best of the three linear classifiers on MobileNetV2 as published:")
    print(pd.DataFrame(nets).T.round(3).to_string())
    for name, gains in nets.items():
        print(f"{name}: over the joined mean {gains['mean']:+.3f}; not beaten: {_not_beaten(gains)}")


def _not_beaten(gains: "pd.Series[float]") -> str:
    return ", ".join(str(name) for name, gain in gains.items() if gain <= 0) or "none"


def compare_hidden(race: Race) -> None:
    """Print the loss of F1 that hiding labels causes."""
    left = Side(race.train.articles, hide(race.train.labels, race.seeds[0]))
    race.network("all labels")
    race.network("hidden", left)
    race.peer("joined LR, hidden", "joined", left)
    lost = race.figures["all labels"] - race.figures["hidden"]
    print(race.table().assign(lost=lost, labels=left.labels.groupby("attribute").size()).round(3).to_string())


def ablate(train: Side, seeds: list[int]) -> None:
    """Print the effect of each option, on validation styles."""
    tuning = holdout(train.articles, TUNING_SHARE, purpose="tuning")
    race = Race(train.part(~tuning), train.part(tuning), seeds)
    for name, changes in ABLATION.items():
        race.network(name, changes=changes)
    print(race.table().round(4).to_string())


def main() -> None:
    """Read, train, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hm", type=Path, required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--finetuned", action="store_true")
    parser.add_argument("--hide", action="store_true")
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    from resources.compute import Compute

    Compute("cpu", options.threads).apply()
    files = photographed(options.hm)
    held_out = holdout(files, TEST_SHARE)
    photos = Photographs(
        options.hm / "images",
        files,
        ~held_out,
        weights=options.weights,
        folder=options.vectors,
        threads=options.threads,
    )

    def sides(*names: str) -> tuple[Side, Side]:
        whole = Side(*with_labels(files.assign(embeddings=list(photos.vectors(*names)[:, None]))))
        return whole.part(~held_out), whole.part(held_out)

    print(f"{(~held_out).sum()} articles to train on, {held_out.sum()} to test on ({held_out.mean():.1%})")
    if options.ablation:
        ablate(sides("mobilenet", "colour")[0], options.seeds)
    elif options.hide:
        compare_hidden(Race(*sides("mobilenet", "colour"), options.seeds))
    else:
        seen = {"and colour": sides("mobilenet", "colour")}
        if options.finetuned:
            seen["tuned and colour"] = sides("tuned", "colour")
        compare(Race(*sides("mobilenet"), options.seeds), seen)


if __name__ == "__main__":
    main()
