"""The studies of sequence models by one command: its data, what it refuses, what it writes."""

import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import sequence_data
from benchmarks.sequence_data import markets, sample_retailer
from benchmarks.sequence_study import arguments, fits_of, main, reads_content, weeks_shown
from tests.benchmarks.test_hm_recommenders import pairs

TINY = '{"mode": "collaborative", "factors": 4, "heads": 1, "blocks": 1, "max_epochs": 1, "history": 5, "negatives": 5}'
SMALL_ALS = '{"factors": 4, "iterations": 1}'


@pytest.fixture
def hm(tmp_path: Path) -> Path:
    """Sequences of customers of two markets, each of which has six articles, and the articles."""
    rng = np.random.default_rng(0)
    sides = [("L", "Ladieswear", 60), ("M", "Menswear", 20)]
    lists = [rng.choice([f"{side}{a}" for a in range(6)], 7).tolist() for side, _, many in sides for _ in range(many)]
    lists.append(["L0", "M0", "L1", "M1"])  # of neither market mostly
    table = {
        "customer_id": [f"c{place:03d}" for place in range(len(lists))],
        "article_ids": lists,
        "purchases_in_last_week": [0] * len(lists),
    }
    pq.write_table(pa.table(table), tmp_path / "sequences.parquet")
    articles = [(f"{side}{a}", group) for side, group, _ in sides for a in range(6)]
    frame = pd.DataFrame(articles, columns=["article_id", "index_group_name"])
    frame.to_csv(tmp_path / "articles.csv", index=False)
    return tmp_path


def command(folder: Path, *more: str) -> list[str]:
    read = ["--hm-sequences", str(folder), "--articles", str(folder / "articles.csv")]
    return [*read, "--transformer", TINY, "--als", SMALL_ALS, *more]


def test_a_customer_belongs_to_the_market_of_most_purchases(hm: Path) -> None:
    large, small = markets(hm, hm / "articles.csv", None, content=False)
    assert {article[0] for _, article in pairs(large)} == {"L"}
    assert {article[0] for _, article in pairs(small.train) + pairs(small.truth)} == {"M"}
    assert len(large.customer_ids) == 60
    assert len(small.truth) == len(small.truth.customer_ids) == 20
    assert set(small.train.customer_ids.values.to_pylist()) == set(small.truth.customer_ids.values.to_pylist())
    few, _ = markets(hm, hm / "articles.csv", 10, content=False)
    assert len(few.customer_ids) == 10
    assert set(pairs(few)) <= set(pairs(large))


def test_the_sample_retailers_truth_comes_after_all_that_is_learned() -> None:
    data = sample_retailer(60, 60)
    assert data.origin is not None
    assert data.whole is not None
    end = np.datetime64(data.origin + timedelta(days=1))
    assert data.train.occurred_at.max() < end <= data.truth.occurred_at.min()
    assert data.truth.occurred_at.max() < end + np.timedelta64(sequence_data.HORIZON, "D")
    assert data.whole.occurred_at.max() >= end + np.timedelta64(sequence_data.DAYS_AFTER - 3, "D")
    assert (pd.to_datetime(data.sold.frame["available_from"]) <= pd.Timestamp(data.origin)).all()
    assert data.identity != sample_retailer(61, 60).identity


def test_every_study_of_histories_writes_a_table_and_a_plot(
    hm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    studies = ["models", "order", "history", "transfer", "vectors", "by_rank"]
    out, kept = tmp_path / "out", tmp_path / "kept"
    given = command(
        hm, "--study", *studies, "--models", "popular", "als", "als_annoy", "--histories", "2", "5",
        "--resume", str(kept), "--out", str(out),
    )  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["sequence_study", *given])
    main()
    written = {f"{study}.{ending}" for study in studies for ending in ("csv", "md", "svg")}
    assert {path.name for path in out.iterdir()} == written | {f"{study}_tests.csv" for study in studies[:-1]}
    tests = pd.read_csv(out / "models_tests.csv")
    pairs_tested = set(zip(tests["model"], tests["against"], strict=True))
    assert pairs_tested == {("als", "popular"), ("als_annoy", "popular"), ("als_annoy", "als")}
    variants = pd.read_csv(out / "order.csv")["variant"].unique().tolist()
    assert variants == ["kept", "shuffled"], "without days nothing can be shuffled within them"
    heads, _, *rows = (out / "models.md").read_text(encoding="utf-8").splitlines()
    assert heads.startswith("| variant | hit_rate@14 | ndcg@14 | coverage@14 |")
    assert [row.split(" | ")[0] for row in rows] == ["| popular", "| als", "| als_annoy"]
    printed = capsys.readouterr().out
    for study in studies:
        assert f"## {study}" in printed, study
    # A second run reads what was kept, and writes the same.
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    files = {path: path.stat().st_mtime_ns for path in kept.iterdir()}
    main()
    assert {path: path.stat().st_mtime_ns for path in kept.iterdir()} == files
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_the_sample_retailer_has_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["--sample", "250", "--transformer", TINY, "--als", SMALL_ALS, "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["sequence_study", *given, "--study", "order", "by_rank", "longevity"])
    main()
    assert pd.read_csv(tmp_path / "order.csv")["variant"].unique().tolist() == ["kept", "within_days", "shuffled"]
    assert set(pd.read_csv(tmp_path / "by_rank.csv")["metric"]) == {
        f"mean_{what}_at_rank" for what in ("popularity", "price", "age_days")
    }
    table = pd.read_csv(tmp_path / "longevity.csv")
    assert set(table["day"]) <= set(range(1, 29))
    assert table["day"].nunique() > 10
    heads = (tmp_path / "longevity.md").read_text(encoding="utf-8").splitlines()[0]
    assert heads == "| model | histories | metric | days 1–7 | days 8–14 | days 15–21 | days 22–28 |"


def test_content_is_read_only_where_a_model_asked_for_reads_it(hm: Path) -> None:
    few = ["--study", "models", "--models", "als", "transformer"]
    assert not reads_content(arguments(command(hm, *few)))
    assert list(fits_of(arguments(command(hm, *few)))["models"].models) == ["als", "transformer"]
    assert reads_content(arguments(command(hm, *few, "hybrid")))
    assert reads_content(arguments(command(hm, "--study", "order", "--transformer", "{}")))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--models", "als", "gru"], "gru: no model of the study; there are popular, repeat"),
        (["--studied", "gru"], "there are transformer, sequencer:rnn"),
        (["--als", '{"layers": 2}'], "layers"),
        (["--study", "longevity"], "longevity cannot be studied on these data: take --sample"),
    ],
    ids=["model", "studied", "field", "study"],
)
def test_what_cannot_be_studied_is_named(
    hm: Path, more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        arguments(command(hm, *more))
    assert message in capsys.readouterr().err
    with pytest.raises(SystemExit):
        arguments(["--sample", "10", "--study", "transfer"])
    assert "transfer cannot be studied on these data: take --hm-sequences" in capsys.readouterr().err


def test_a_week_is_the_mean_over_its_customers() -> None:
    days = range(1, 9)
    table = pd.DataFrame(
        {
            "model": "als",
            "histories": "frozen",
            "day": days,
            "metric": "ndcg",
            "value": [1.0] + [0.0] * 6 + [0.5],
            "standard_error": 0.1,
            "customers": [30, 5, 5, 5, 5, 5, 5, 9],
        }
    )
    shown = weeks_shown(table)
    assert shown["days 1–7"].tolist() == ["0.5000"]
    assert shown["days 8–14"].tolist() == ["0.5000"]
