"""The generated transactions: as many as asked for, in order, made once, and both queries run on them."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import feature_scale as bench


def test_a_whole_run_makes_its_rows_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = ["--rows", "2000", "--customers", "50", "--articles", "20", "--days", "10", "--folder", str(tmp_path)]
    options = bench.arguments(told)
    bench.measure(options, tmp_path)
    (file,) = tmp_path.glob("interactions_*.parquet")
    made = file.stat().st_mtime_ns
    rows = pd.read_parquet(file)
    assert (len(rows), rows["ds"].nunique(), rows["article_id"].nunique()) == (2000, 10, 20)
    assert rows["ds"].is_monotonic_increasing
    assert pq.read_schema(file).field("price").type == pa.decimal128(18, 9), "as the store's tables have it"
    bench.measure(options, tmp_path)
    assert file.stat().st_mtime_ns == made
    printed = capsys.readouterr().out
    assert "article_features           20 rows" in printed
    assert "customer_features          50 rows" in printed
