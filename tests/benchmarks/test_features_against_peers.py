"""The comparison of features on a few rows: plain pandas gives the pipeline's figures, and a difference is told."""

import sys
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import features_against_peers, features_peers_side
from benchmarks.environments import ENVIRONMENTS

TINY = ["--rows=600", "--customers=90", "--articles=40", "--days=60", "--repeats=1", "--threads=1"]


@pytest.mark.parametrize("library", ["pandas", "duckdb"])
def test_plain_code_gives_the_same_features(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features_against_peers, "peers", lambda _: Path(sys.executable))
    monkeypatch.setattr(features_against_peers, "LIBRARIES", {library: features_peers_side.LIBRARIES[library]})
    articles, customers = features_against_peers.measure(features_against_peers.arguments(TINY))
    assert articles.checked.startswith("10 figures of 40 equal to ")
    assert customers.checked.startswith("15 figures of 90 equal to ")


@pytest.mark.skipif(not (ENVIRONMENTS / "peers").exists(), reason="the peers' environment is made by make bench")
def test_polars_gives_the_same_features() -> None:
    rows = features_against_peers.measure(features_against_peers.arguments(TINY))
    assert [row.peer for row in rows] == ["pandas", "polars", "DuckDB, plain SQL"] * 2


def frame(**columns: list[object]) -> pd.DataFrame:
    return pd.DataFrame({"article_id": ["a", "b"]} | columns)


def test_a_figure_that_differs_is_named() -> None:
    mine = frame(price_mean=[1.0, None], sales=[3, 4], channel=["web", None])
    assert features_against_peers.same_figures(mine, mine[::-1]) == "3 figures of 2 equal to 0e+00"
    near = mine.assign(price_mean=[1 + 1e-9, None])
    assert features_against_peers.same_figures(mine, near) == "3 figures of 2 equal to 1e-09"
    for wrong in (
        mine.assign(price_mean=[1.01, None]),
        mine.assign(price_mean=[1.0, 2.0]),
        mine.assign(channel=["shop", None]),
    ):
        with pytest.raises(RuntimeError, match=r"(price_mean|channel) differs for 1 of 2"):
            features_against_peers.same_figures(mine, wrong)
    with pytest.raises(RuntimeError, match="not in both"):
        features_against_peers.same_figures(mine, mine.drop(columns="sales"))
