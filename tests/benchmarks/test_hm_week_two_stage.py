"""The comparison of two stages on the week: its splits, its intervals, and a whole run on made-up data."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atelier.catalogue import Catalogue
from atelier.ids import IdMap
from atelier.interactions import Interactions
from benchmarks import hm_week_two_stage as bench
from benchmarks.two_stage_plots import write_plots

SMALL = {"trees": 10, "min_examples_in_leaf": 5, "candidates": 20, "threads": 1}


def week(customers: int = 80, seed: int = 0) -> pd.DataFrame:
    """Seven days; most customers buy on two days, and one of their articles again; one buys what nobody did before."""
    random = np.random.default_rng(seed)
    rows = []
    for customer in range(customers):
        days = np.sort(random.choice(np.arange(16, 23), 3, replace=False))
        favourite = f"{random.integers(0, 12):010d}"
        for day in days:
            rows.append((f"2020-09-{day}", f"c{customer:02d}", favourite))
            rows.append((f"2020-09-{day}", f"c{customer:02d}", f"{random.integers(0, 40):010d}"))
    rows.append(("2020-09-22", "c00", f"{40:010d}"))
    frame = pd.DataFrame(rows, columns=["t_dat", "customer_id", "article_id"])
    frame["t_dat"] = pd.to_datetime(frame["t_dat"])
    return frame.assign(price=0.02, sales_channel_id=np.int8(2))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pq.write_table(pa.Table.from_pandas(week(), preserve_index=False), tmp_path / "transactions_train.parquet")
    return tmp_path


def sold() -> Catalogue:
    ids = [f"{number:010d}" for number in range(41)]
    types = [f"t{number % 5}" for number in range(41)]
    articles = pd.DataFrame({"article_id": ids, "product_code": [each[:-1] for each in ids], "product_type": types})
    return Catalogue.from_frames(articles, np.random.default_rng(0).normal(size=(41, 5)).astype(np.float32))


@pytest.mark.parametrize(
    ("protocol", "last", "days"), [("one_day", 21, {22}), ("two_days", 20, {21, 22}), ("validation", 20, {21})]
)
def test_the_truth_follows_the_training(folder: Path, protocol: str, last: int, days: set[int]) -> None:
    data = bench.read_week(folder)
    assert data.prices is not None
    assert data.channels is not None
    train, truth = bench.split(data, protocol)
    assert train.occurred_at.max() == np.datetime64(f"2020-09-{last}")
    assert {int(str(day)[8:10]) for day in np.unique(truth.occurred_at)} == days


def test_the_interval_is_paired() -> None:
    who = ["a", "b", "c", "d", "new"]
    values = {
        "merge": pd.Series([0.0, 0.2, 0.4, 0.6, 0.5], index=who),
        "two_stage": pd.Series([0.1, 0.4, 0.4, 0.7, 0.5], index=who),
    }
    table = bench.compared(values, IdMap.from_values(["a", "b", "c", "d"])).set_index(["model", "segment"])
    row = table.loc[("merge", "with history")]
    # differences .1, .2, 0, .1: mean .1, deviation √(.02 / 3)
    error = 1.96 * np.sqrt(0.02 / 3) / 2
    assert row["customers"] == 4
    assert row["map@12"] == pytest.approx(0.3)
    assert row["two_stage more by"] == pytest.approx(0.1)
    assert (row["low"], row["high"]) == (pytest.approx(0.1 - error), pytest.approx(0.1 + error))
    assert table.loc[("merge", "without history"), "map@12"] == 0.5


def test_published_metrics_by_hand() -> None:
    """One of two relevant articles at rank 2: NDCG by two hits that are possible, and by ten that are not."""
    recs = pd.DataFrame({"customer_id": ["a"] * 2, "article_id": ["x", "y"], "rank": [1, 2], "score": [1.0, 0.5]})
    truth = Interactions.from_frame(pd.DataFrame({"customer_id": ["a", "a", "b"], "article_id": ["y", "z", "x"]}))
    table = bench.published(recs, truth, IdMap.from_values(["a"])).set_index(["metric", "k"])["value"]
    gains = 1 / np.log2(np.arange(2, 12))
    assert table["precision", 10] == pytest.approx(0.1)
    assert table["recall", 30] == pytest.approx(0.5)
    assert table["ndcg", 10] == pytest.approx(gains[1] / gains[:2].sum())
    assert table["ndcg by k", 10] == pytest.approx(gains[1] / gains.sum())


def test_a_whole_run(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = bench.evaluate(
        bench.read_week(folder),
        sold(),
        "one_day",
        {**SMALL, "features": ["own", "sources"]},
        ablation=True,
        variants={"with neighbours": {"sources": ["own", "popular", "neighbours"], "held_out": 0.3}},
    )
    comparison = found["comparison"].set_index(["model", "segment"])
    assert {"merge", "popular", "two_stage", "own", "together", "popular_3", "fusion", "without own"} <= {
        model for model, _ in comparison.index
    }
    same = comparison.loc[("two_stage", "with history")]
    assert (same["two_stage more by"], same["low"], same["high"]) == (0, 0, 0)
    # What is filled up from the own articles is the heuristic merge.
    assert comparison.loc[("own", "with history"), "map@12"] == comparison.loc[("merge", "with history"), "map@12"]
    recalls = found["recall"].set_index(["model", "segment", "source"])
    assert ("with neighbours", "with history", "neighbours") in recalls.index
    recall = recalls.loc["two_stage"]
    merged = recall.loc[("with history", "merged")]
    assert merged["recall"] >= recall.loc[("with history", "own"), "recall"]
    assert merged["oracle"] >= comparison.loc[("two_stage", "with history"), "map@12"]
    assert sum(found["gains"].values()) == pytest.approx(1)
    of_cold = found["cold"].set_index("model")
    assert of_cold.loc["popular", "exposure"] == 0, "it knows no article that nobody bought"
    among = found["cold candidates"].set_index(["model", "candidates"])
    assert {count for _, count in among.index} == {20, 200}
    assert (among.loc["two_stage", ["recall", "cold listed"]] == 0).all(axis=None), "only what was bought is listed"
    curves = {str(label): rows for label, rows in found["curves"].groupby("model", sort=False)}
    files = write_plots(tmp_path / "plots", found["comparison"], found["recall"], curves)
    assert {path.stem for path in files} >= {"map", "recall", "training_two_stage", "training_with_neighbours"}
    assert all(path.read_text(encoding="utf-8").startswith("<svg") for path in files)
    assert "held out" in (tmp_path / "plots" / "training_with_neighbours.svg").read_text(encoding="utf-8")
    bench.report(found)
    printed = capsys.readouterr().out
    assert "recall and the oracle's MAP@12 at 200 candidates" in printed
    assert "cold listed" in printed


def test_the_command_line() -> None:
    options = bench.arguments(["--hm-week", "x", "--protocol", "one_day", "--config", '{"trees": 3}'])
    assert (options.protocol, options.config, options.threads) == (["one_day"], {"trees": 3}, 1)
    with pytest.raises(SystemExit):
        bench.arguments(["--hm-week", "x", "--protocol", "next_year"])


def test_interactions_of_the_week_have_the_days_of_the_files(folder: Path) -> None:
    data = bench.read_week(folder)
    assert isinstance(data, Interactions)
    assert len(data) == len(week())
