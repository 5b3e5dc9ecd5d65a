"""The outfit model on outfit files of published layouts, against controls that only count.

    python -m benchmarks.outfit_files --polyvore FOLDER [--epochs 6] [--seed 0] [--threads 1]
    python -m benchmarks.outfit_files --mango FOLDER [--epochs 6] [--seed 0] [--threads 1]

- ``--polyvore``: outfits for training and validation, and those for testing with the questions and lines that were
  published with them (the names of :data:`POLYVORE`). The model reads the names of articles and their category; the
  table has the right answers to the given fill-in-the-blank questions, and the AUC of the given real outfits against
  the given others. Wrong answers may be of any category there, so that the category alone answers much.
- ``--mango``: product_data.csv and outfit_data.csv, without photographs: divided 80/10/10 by outfit, the questions of
  :mod:`benchmarks.mango_outfits` about outfits.

What belongs here: reading both layouts, the given questions. What does not: the comparison itself
(:mod:`benchmarks.outfit_comparison`), photographs (:mod:`benchmarks.mango_outfits`).
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from atelier.errors import AtelierError
from atelier.outfits.config import OutfitConfig
from atelier.outfits.controls import TYPES
from atelier.outfits.files import (
    read_mango,
    read_polyvore_compatibility,
    read_polyvore_outfits,
    read_polyvore_questions,
)
from atelier.outfits.given import given_outfits, given_questions
from atelier.outfits.names import FAMILY
from atelier.outfits.outfits import Outfits
from atelier.outfits.splits import Split, split_by_outfit
from benchmarks.outfit_comparison import Comparison, Data, Question, ask, printed

PARTS = Split._fields
POLYVORE: Mapping[str, str] = {
    "train": "train_no_dup.json",
    "validation": "valid_no_dup.json",
    "test": "test_no_dup.json",
    "questions": "fill_in_blank_test.json",
    "lines": "fashion_compatibility_prediction.txt",
}
"""The files of the layout, as X. Han and others published theirs (ACM MM 2017)."""
DRAWN: Mapping[str, Question] = {
    "uniform": Question("family", popularity=1.0),
    "popularity-matched": Question("popularity"),
}


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--polyvore", metavar="FOLDER", type=Path)
    which.add_argument("--mango", metavar="FOLDER", type=Path)
    parser.add_argument("--epochs", type=int, default=OutfitConfig().epochs)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(given)


def polyvore_data(folder: Path) -> tuple[Data, Split]:
    """Articles and outfits of the three parts, divided as the files are."""
    frames = {part: read_polyvore_outfits(folder / POLYVORE[part]) for part in PARTS}
    rows = pd.concat(frames.values(), ignore_index=True)
    if rows["article_id"].duplicated().any():
        twice = rows.loc[rows["article_id"].duplicated(), "article_id"].iloc[0]
        raise SystemExit(f"error: {twice} is in two files of {folder}; an outfit belongs to one part")
    products = rows[["article_id", "name", "category"]].rename(columns={"category": TYPES})
    data = Data.of(products.sort_values("article_id", ignore_index=True), rows, [TYPES], TYPES)
    return data, Split(*(Outfits.from_frame(frames[part], data.articles) for part in PARTS))


def polyvore(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of the given questions and the given outfits."""
    folder: Path = given.polyvore
    blanks = read_polyvore_questions(folder / POLYVORE["questions"])
    lines = read_polyvore_compatibility(folder / POLYVORE["lines"])
    data, split = polyvore_data(folder)
    asked, outfits = given_questions(blanks, data.articles), given_outfits(lines, data.articles)
    config = OutfitConfig(family=TYPES, attributes=(TYPES,), epochs=given.epochs, seed=given.seed)
    comparison = Comparison(data, split, given.seed, config)
    mine = split.validation.frequency > 0
    # The controls are joined by questions of the same sort: wrong answers of any category.
    known = ask(data, split.validation, split.train.frequency, Question("random", offered=mine), given.seed)
    return [
        comparison.given_questions("given questions", asked, known),
        comparison.auc_of("given outfits", outfits, paired=False),
    ]


def mango(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of questions that are drawn, since the layout has none."""
    products, rows = read_mango(given.mango)
    names = [name for name in products.columns if name not in ("article_id", "path")]
    data = Data.of(products, rows, names, FAMILY)
    config = OutfitConfig(attributes=tuple(names), epochs=given.epochs, seed=given.seed)
    comparison = Comparison(data, split_by_outfit(data.outfits, given.seed), given.seed, config)
    found = [
        row for name, each in DRAWN.items() for row in comparison.questions(name, {"test": each, "validation": each})
    ]
    return [*found, comparison.auc("AUC")]


def main(given: Sequence[str] | None = None) -> None:
    """Print the table."""
    asked = arguments(given)
    torch.set_num_threads(asked.threads)
    try:
        printed(polyvore(asked) if asked.polyvore else mango(asked))
    except AtelierError as error:  # of a file that is not there or not right: the message says which and the remedy
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
