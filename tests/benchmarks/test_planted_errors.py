"""Figures on the sample retailer's wrong labels, by hand; and which labels are wrong on which day."""

import math
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from atelier.errors import SourceError
from atelier.sources import open_source
from atelier.sources.sample import SampleConfig, generate
from benchmarks.planted_errors import as_text, evaluate, found, main, planted, revealed
from resources.feature_store import FeatureStore
from resources.retailer import Home

INGESTED = date(2025, 3, 17)
KNOWN = pd.DataFrame(
    [
        ("a", "colour", "red", True, True),
        ("b", "colour", "red", False, True),
        ("c", "colour", "red", True, True),
        ("d", "colour", "red", False, True),
        ("e", "fit", "slim", True, False),
        ("f", "fit", "slim", False, False),
        ("g", "heel", "flat", False, True),
    ],
    columns=["article_id", "attribute", "value", "wrong", "revealed"],
)
ERRORS = pd.DataFrame({"article_id": ["b", "a"], "attribute": "colour", "rank": [1, 2]})


def test_figures_by_hand() -> None:
    table = evaluate(KNOWN, ERRORS).set_index("attribute")
    assert list(table.index) == ["colour", "fit", "heel", "all"]
    assert table[["labels", "wrong", "listed", "hits"]].to_numpy().tolist() == [
        [4, 2, 2, 1],
        [2, 1, 0, 0],
        [1, 0, 0, 0],
        [7, 3, 2, 1],
    ]
    # colour: b right, a wrong, then c and d in random order. AP = 1/2 · 1/2 + 1/2 · 2/4; of the first two one is wrong.
    assert table.loc["colour", ["average_precision", "precision"]].tolist() == pytest.approx([1 / 2, 1 / 2])
    # fit: nothing listed and nothing to be seen: both at random.
    assert table.loc["fit", ["average_precision", "precision"]].tolist() == pytest.approx([1 / 2, 1 / 2])
    assert table.loc["fit", ["ceiling_average_precision", "ceiling_precision"]].tolist() == pytest.approx([1 / 2] * 2)
    # all: b, a, then five of which two are wrong: of the first three 1 + 2/5.
    assert table.loc["all", "precision"] == pytest.approx((1 + 2 / 5) / 3)
    assert table.loc["all", "average_precision"] == pytest.approx(1 / 3 * 1 / 2 + 2 / 3 * 3 / 7)
    # Who sees everything: a and c, then e and f in random order, then the rest.
    assert table.loc["all", "ceiling_precision"] == pytest.approx((2 + 1 / 2) / 3)
    assert table.loc["all", "ceiling_average_precision"] == pytest.approx(2 / 3 + 1 / 3 * 3 / 4)
    assert table.loc["all", "random"] == pytest.approx(3 / 7)
    assert math.isnan(float(str(table.loc["heel", "average_precision"])))


def test_the_text_is_aligned() -> None:
    lines = as_text(evaluate(KNOWN, ERRORS)).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[1].split() == ["colour", "4", "2", "2", "1", "0.500", "0.500", "1.000", "1.000", "0.500"]
    assert lines[3].split() == ["heel", "1", "0", "0", "0", "–", "–", "–", "–", "0.000"]


def test_a_perfect_and_a_useless_ranking() -> None:
    wrong = np.array([True, False, False, True])
    assert found(wrong, np.array([3.0, 1.0, 0.0, 2.0])).average_precision == 1
    assert found(wrong, np.zeros(4)).precision == 0.5
    assert math.isnan(found(np.zeros(3, bool), np.zeros(3)).precision)


def test_what_reveals_the_truth() -> None:
    labels = pd.DataFrame(
        [
            ("seen", "colour", "red"),
            ("unseen", "colour", "red"),
            ("read", "colour", "red"),
            ("seen", "material", "wool"),
            ("read", "material", "wool"),
            ("nothing", "material", "wool"),
        ],
        columns=["article_id", "attribute", "truth"],
    )
    articles = pd.DataFrame(
        {
            "article_id": ["seen", "unseen", "read", "nothing"],
            "name": ["Dress", "Blue dress", "Scarlet dress", None],
            "description": [None, "In cotton.", "In MERINO.", None],
            "photographed": [True, False, False, False],
        }
    )
    assert revealed(labels, articles).tolist() == [True, False, True, False, True, False]


@pytest.fixture(scope="module")
def retailer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("retailer")
    generate(root, SampleConfig(articles=400, customers=20, days=28, photographs=False, wrong_labels=0.2))
    return root


def test_before_the_taxonomy_changed_a_label_is_wrong_if_its_old_name_is(retailer: Path) -> None:
    source = open_source("sample", retailer)
    articles = pd.DataFrame({"article_id": [], "name": [], "description": [], "photographed": []}, dtype="str")
    everything = pd.read_parquet(retailer / "truth" / "labels.parquet").set_index(["article_id", "attribute"])
    counts = []
    for day in (date(2025, 3, 16), date(2025, 3, 17)):  # it changes on the 15th day
        (_, landed), *_ = source.land("annotated_attributes", [day])
        labels = landed.accepted.to_pandas()
        known = planted(source, day, labels, articles)
        assert len(known) == len(labels)
        new = everything.loc[pd.MultiIndex.from_frame(known[["article_id", "attribute"]])].reset_index()
        differs = known["wrong"].to_numpy() != new["wrong"].to_numpy()
        assert (new.loc[differs, ["value", "truth"]].isin(["light blue", "navy"])).all(axis=None)
        counts.append(int(differs.sum()))
    assert counts[0] > 0, "no label is wrong in the new names only: the case is not tested"
    assert counts[1] == 0


def test_only_the_sample_retailer_has_a_truth(retailer: Path) -> None:
    with pytest.raises(SourceError, match="sample retailer only"):
        planted(open_source("parquet", retailer), date(2025, 3, 17), KNOWN, KNOWN)


def test_a_home_without_a_table_is_an_error_not_a_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path))
    with pytest.raises(SystemExit, match="there is no catalogue_errors"):
        main([])
    with pytest.raises(SystemExit, match="there is no image_embeddings"):
        main(["--scores"])


def test_a_home_is_judged_on_its_last_day_with_a_table(
    sample_home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(sample_home.root))
    labels = FeatureStore(sample_home.store).read("annotated_attributes", INGESTED).to_pandas()
    doubted = labels.head(3).rename(columns={"value": "annotated_value"})
    more = {
        "predicted_value": "x",
        "annotated_probability": 0.0,
        "confidence": 1.0,
        "error_probability": 0.9,
        "fold": 0,
    }
    errors = doubted[["article_id", "attribute", "annotated_value"]].assign(**more, rank=[1, 2, 3])
    FeatureStore(sample_home.store, threads=1).write("catalogue_errors", INGESTED, errors)
    main([])
    printed = capsys.readouterr().out
    assert f"catalogue_errors of {INGESTED}" in printed
    assert printed.splitlines()[-1].split()[:2] == ["all", str(len(labels))]


@pytest.mark.filterwarnings("ignore:May not flag all label issues")
def test_scores_and_cuts_are_compared(
    sample_home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(sample_home.root))
    main(["--scores", "--folds", "2", "--epochs", "1"])
    printed = capsys.readouterr().out
    assert printed.startswith(f"{INGESTED}: 2 folds of 1 epochs")
    for name in ("log_odds, as trained", "log_odds, calibrated", "cleanlab both", "contradicted"):
        assert f"\n{name} " in printed
