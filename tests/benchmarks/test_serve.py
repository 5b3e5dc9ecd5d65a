"""The made-up retailer has the rows that are asked for, and every question of the benchmark finds what is there."""

from pathlib import Path

import pytest

from benchmarks import serve as bench
from resources.feature_store import FeatureStore
from resources.histories import make_histories
from resources.publishing import publish


def test_sizes_keep_proportions() -> None:
    assert bench.Size.of(bench.FULL_ROWS) == bench.Size(31_800_000, 734, 1_372_000, 105_542)
    assert bench.Size.of(3_180_000) == bench.Size(3_180_000, 73, 137_200, 10_554)


def test_every_question_is_timed_and_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = bench.Size(rows=301, days=3, customers=20, articles=10)
    store = FeatureStore(tmp_path / "store", threads=1)
    bench.fill(store, size)
    publish(store, tmp_path / "atelier.duckdb", threads=1)
    target = tmp_path / "serve" / "histories.duckdb"
    assert make_histories(tmp_path / "atelier.duckdb", target, threads=1, memory_limit="1GB") == 301
    assert [pointer.rows for pointer in store.pointers("interactions")] == [101, 100, 100]
    answers: dict[str, list[int]] = {}
    timed = bench.timed

    def counted(name: str, ask, asked):  # type: ignore[no-untyped-def]
        answers.setdefault(name, []).append(min(len(ask(each)) for each in asked))
        return timed(name, ask, asked)

    monkeypatch.setattr(bench, "timed", counted)
    customers = [str(row) for row in store.read("interactions", bench.FIRST)["customer_id"].to_pylist()[:5]]
    articles = [str(row) for row in store.read("interactions", bench.FIRST)["article_id"].to_pylist()[:5]]
    rows = [timing.cells() for timing in bench.timings(tmp_path, customers, articles, 2)]
    assert len(rows) == 11
    assert all(least > 0 for leasts in answers.values() for least in leasts), answers
