"""The comparison of conformal scores runs on a home and on the H&M files, and its figures can be."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from atelier.attributes import AttributeConfig
from benchmarks import prediction_sets
from benchmarks.hm_articles import ATTRIBUTES
from resources.retailer import Home

TINY = AttributeConfig.small(
    image_units=8,
    filters=8,
    text_units=8,
    token_dim=4,
    joint_units=16,
    max_epochs=2,
    min_samples=3,
    precision="float32",
)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[pd.DataFrame]:
    """The tables that were printed; models are small."""
    tables: list[pd.DataFrame] = []
    as_text = prediction_sets.as_text

    def noted(table: pd.DataFrame) -> str:
        tables.append(table)
        return as_text(table)

    monkeypatch.setattr(prediction_sets, "as_text", noted)
    monkeypatch.setattr(AttributeConfig, "for_data", lambda articles: TINY)
    return tables


def check(table: pd.DataFrame) -> None:
    assert set(table["score"]) == set(prediction_sets.SCORES)
    assert set(table["calibrated_on"]) == {"shared", "fresh"}
    assert table[["coverage", "abstained", "ece_before", "ece_after"]].stack().between(0, 1).all()
    assert (table["set_size"] >= 1).all()


def test_a_home_is_judged_on_its_last_encoded_day(
    sample_home: Home, compared: list[pd.DataFrame], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(sample_home.root))
    prediction_sets.main(["--seeds", "0"])
    (table,) = compared
    check(table)
    assert "coverage of labels, seed 0" in capsys.readouterr().out


def test_the_hm_files_are_judged_where_an_article_has_a_vector(tmp_path: Path, compared: list[pd.DataFrame]) -> None:
    ids = [f"0{place:09}" for place in range(120)]
    rows = {"article_id": ids, "product_code": [name[:-1] for name in ids], "prod_name": "Tee", "detail_desc": None}
    values = {attribute: np.where(np.arange(120) // 10 % 2, "red", "blue") for attribute in ATTRIBUTES}
    pd.DataFrame(rows | values).to_csv(tmp_path / "articles.csv", index=False)
    vectors = np.random.default_rng(0).random((100, 4), np.float32)
    np.savez(tmp_path / "v.npz", names=np.array(ids[:100]), vectors=vectors)
    prediction_sets.main(["--hm", str(tmp_path), "--vectors", str(tmp_path / "v.npz"), "--seeds", "0"])
    (table,) = compared
    check(table)


def test_a_home_without_photographs_is_an_error_not_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path))
    with pytest.raises(SystemExit, match="error: there is no image_embeddings"):
        prediction_sets.main([])
    with pytest.raises(SystemExit, match="ds=2025-03-17 of table"):
        prediction_sets.main(["--day", str(date(2025, 3, 17))])
