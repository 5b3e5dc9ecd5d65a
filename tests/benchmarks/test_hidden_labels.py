"""Metrics on hidden labels, by hand; sources that hide none."""

import math
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from atelier.articles.errors import ArticlesError
from atelier.attributes.scores import AGAINST_MAJORITY
from atelier.errors import SourceError
from atelier.sources import open_source
from atelier.sources.sample import SampleConfig, generate
from benchmarks.hidden_labels import as_text, evaluate, hidden_labels, main

PREDICTED = pd.DataFrame(
    [
        ("a", "colour", "red", "blue", "annotated"),
        ("b", "colour", "blue", "blue", "annotated"),
        ("c", "colour", "red", "red", "annotated"),
        ("d", "colour", "red", "red", "predicted"),
        ("e", "colour", "blue", "blue", "predicted"),
        ("f", "colour", "blue", "blue", "abstained"),
        ("g", "colour", "blue", "blue", "predicted"),
        ("a", "fit", "wide", None, "annotated"),
        ("d", "sleeve", "long", "long", "predicted"),
    ],
    columns=["article_id", "attribute", "value", "prediction", "source"],
)
HIDDEN = pd.DataFrame(
    [
        ("b", "colour", "red"),  # annotated by now: not hidden
        ("d", "colour", "red"),  # hit
        ("e", "colour", "red"),  # miss
        ("f", "colour", "blue"),  # hit
        ("g", "colour", "puce"),  # a value that was never annotated: miss
        ("h", "colour", "red"),  # no prediction
        ("b", "fit", "slim"),  # an attribute without predictions
        ("d", "sleeve", "long"),  # an attribute without annotations
    ],
    columns=["article_id", "attribute", "value"],
)


def test_figures_by_hand() -> None:
    table = evaluate(PREDICTED, HIDDEN).set_index("attribute")
    assert list(table.index) == ["colour", "fit", "sleeve", "mean"]
    assert table["hidden"].tolist() == [5, 1, 1, 7]
    assert table["judged"].tolist() == [4, 0, 1, 5]
    # Truth red red blue puce, said red blue blue blue: F1 of red 2/3, blue 1/2, puce 0, weighing 2, 1, 1 of 4. Red was
    # annotated most often; always said it has F1 4/6, weighing 2 of 4.
    assert table.loc["colour", list(AGAINST_MAJORITY)].tolist() == pytest.approx([2 / 4, 11 / 24, 2 / 4, 1 / 3])
    assert table.loc["fit", list(AGAINST_MAJORITY)].isna().all()
    assert table.loc["sleeve", ["accuracy", "weighted_f1"]].tolist() == [1, 1]
    assert table.loc["sleeve", ["majority_accuracy", "majority_weighted_f1"]].isna().all()
    assert table.loc["mean", list(AGAINST_MAJORITY)].tolist() == pytest.approx([3 / 4, 35 / 48, 2 / 4, 1 / 3])


def test_the_ceiling_is_the_readers_accuracy_on_the_labels_judged() -> None:
    said = ["red", "red", "red", "red", "puce", "red", "slim", "long"]  # right on all but f, of those judged
    reader = HIDDEN[["article_id", "attribute"]].assign(read=said)
    table = evaluate(PREDICTED, HIDDEN, reader).set_index("attribute")
    assert table.loc[["colour", "sleeve", "mean"], "ceiling"].tolist() == [3 / 4, 1, 7 / 8]
    assert table.loc[["colour", "sleeve", "mean"], "distance"].tolist() == [1 / 4, 0, 1 / 8]
    assert table.loc["fit", ["ceiling", "distance"]].isna().all()
    assert table[list(AGAINST_MAJORITY)].equals(
        evaluate(PREDICTED, HIDDEN).set_index("attribute")[list(AGAINST_MAJORITY)]
    )
    lines = as_text(table.reset_index()).splitlines()
    assert len({len(line) for line in lines[:-1]}) == 1
    assert lines[1].split()[-2:] == ["ceiling", "distance"]
    assert lines[2].split()[-2:] == ["0.7500", "0.2500"]


def test_equally_frequent_values_go_by_the_alphabet() -> None:
    annotated = PREDICTED[PREDICTED["article_id"].isin(["a", "b", "d"]) & (PREDICTED["attribute"] == "colour")]
    hidden = HIDDEN[HIDDEN["article_id"].eq("d") & HIDDEN["attribute"].eq("colour")]
    assert evaluate(annotated, hidden)["majority_accuracy"].iloc[0] == 0  # blue and red once each; the truth is red


def test_the_text_is_aligned_and_says_how_many_were_judged() -> None:
    lines = as_text(evaluate(PREDICTED, HIDDEN)).splitlines()
    assert len({len(line) for line in lines[:-1]}) == 1
    assert lines[2].split() == ["colour", "5", "4", "0.5000", "0.4583", "0.5000", "0.3333"]
    assert lines[3].split() == ["fit", "1", "0", *"––––"]
    assert lines[-1].startswith("5 of 7 hidden labels (71.43%)")


def test_nothing_hidden() -> None:
    table = evaluate(PREDICTED, HIDDEN.iloc[:1])
    assert table["hidden"].tolist() == [0]
    assert math.isnan(table["accuracy"].iloc[0])
    assert "0 of 0 hidden labels (–)" in as_text(table)


def test_two_hidden_labels_for_one_attribute_are_refused() -> None:
    with pytest.raises(ArticlesError, match="two labels"):
        evaluate(PREDICTED, pd.concat([HIDDEN, HIDDEN.iloc[1:2].assign(value="blue")]))


@pytest.fixture(scope="module")
def retailer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("retailer")
    generate(root, SampleConfig(articles=60, customers=20, days=28, photographs=False))
    return root


def test_the_sample_keeps_the_truth_in_the_names_of_the_day(retailer: Path) -> None:
    source = open_source("sample", retailer)
    truth = pd.read_parquet(retailer / "truth" / "attributes.parquet")
    assert not truth["value"].equals(truth["old_value"])
    before, after = (hidden_labels(source, date(2025, 3, day)) for day in (16, 17))  # it changes on the 15th day
    assert before["value"].tolist() == truth["old_value"].tolist()
    assert after["value"].tolist() == truth["value"].tolist()
    for day, names in ((date(2025, 3, 16), before), (date(2025, 3, 17), after)):
        (_, landed), *_ = source.land("annotated_attributes", [day])
        annotated = landed.accepted.to_pandas()
        known = set(zip(names["attribute"], names["value"], strict=True))
        strange = [pair for pair in zip(annotated["attribute"], annotated["value"], strict=True) if pair not in known]
        assert len(strange) <= 0.05 * len(annotated)  # wrong labels may name what no article is


def test_sources_that_hide_nothing(retailer: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="landing zone hides no labels"):
        hidden_labels(open_source("parquet", retailer), date(2025, 3, 17))
    (tmp_path / "retailer.json").write_text("{}")
    for table in ("articles", "interactions"):
        (tmp_path / table).symlink_to(retailer / table)
    with pytest.raises(SourceError, match=r"config\.json is absent"):
        hidden_labels(open_source("sample", tmp_path), date(2025, 3, 17))


@pytest.mark.parametrize("hide", [None, 0.0, 1.0])
def test_hm_hides_what_it_is_configured_to(tmp_path: Path, hide: float | None) -> None:
    (tmp_path / "articles.csv").write_text(
        "article_id,product_code,prod_name,detail_desc,product_type_name,index_name,colour_group_name\n"
        "0000000011,1,Tee,Soft.,T-shirt,Ladies,Red\n"
    )
    (tmp_path / "customers.csv").write_text("customer_id,age\nx,30\n")
    (tmp_path / "transactions_train.csv").write_text(
        "t_dat,customer_id,article_id,price,sales_channel_id\n2020-09-22,x,0000000011,0.01,1\n"
    )
    source = open_source("hm", tmp_path, attributes=["colour_group_name"], hide_labels=hide)
    if hide:
        assert hidden_labels(source, date(2020, 9, 22)).to_numpy().tolist() == [
            ["0000000011", "colour_group_name", "Red"]
        ]
    else:
        with pytest.raises(SourceError, match="hide_labels above 0"):
            hidden_labels(source, date(2020, 9, 22))


def test_a_home_without_predictions_is_an_error_not_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path))
    with pytest.raises(SystemExit, match="there is no predicted_attributes"):
        main([])
    with pytest.raises(SystemExit, match="ds=2025-03-17 of table predicted_attributes was never written"):
        main(["--day", "2025-03-17"])
