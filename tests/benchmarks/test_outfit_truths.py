"""Outfits from behaviour: splits by time, the oracle's probability by hand, tables of a tiny retailer and week."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from atelier.articles.table import Articles
from atelier.outfits.outfits import Outfits
from atelier.sources import open_source, read
from atelier.sources.sample import SampleConfig, generate
from atelier.sources.sample.outfits import SHARP, goes_with
from benchmarks.outfit_truths import HM_COLUMNS, main, split_by_time
from benchmarks.sample_outfit_oracle import Oracle

SMALL = SampleConfig(articles=150, customers=60, days=8, photographs=False, outfits_per_article=1.0)
NAMES = [f"a{number}" for number in range(6)]


def test_later_days_are_asked_about_and_duplicates_stay_on_their_first_day() -> None:
    days = {
        "x 2026-03-01": "01",
        "y 2026-03-02": "23",
        "b 2026-03-03": "01",
        "a 2026-03-03": "45",
        "z 2026-03-04": "24",
    }
    rows = [(name, f"a{digit}") for name, members in days.items() for digit in members]
    table = Articles.from_frame(pd.DataFrame({"article_id": NAMES}))
    split = split_by_time(Outfits.from_frame(pd.DataFrame(rows, columns=["outfit_id", "article_id"]), table))
    assert [part.names for part in split] == [["x 2026-03-01", "y 2026-03-02"], ["a 2026-03-03"], ["z 2026-03-04"]]


@pytest.mark.parametrize("days", [["2026-03-01"], ["2026-03-01", "2026-03-02"]])
def test_too_few_days_are_named(days: list[str]) -> None:
    rows = [(f"x {day}", f"a{2 * place + number}") for place, day in enumerate(days) for number in range(2)]
    table = Articles.from_frame(pd.DataFrame({"article_id": NAMES}))
    with pytest.raises(SystemExit, match=f"baskets of 3 days.* there are {len(days)}: {days[0]}"):
        split_by_time(Outfits.from_frame(pd.DataFrame(rows, columns=["outfit_id", "article_id"]), table))


@pytest.fixture(scope="module")
def retailer(tmp_path_factory: pytest.TempPathFactory) -> tuple[Articles, pd.DataFrame, Oracle]:
    folder = tmp_path_factory.mktemp("oracle")
    generate(folder, SMALL)
    source = open_source("sample", folder)
    articles = Articles.from_frame(read(source, "articles"))
    return articles, read(source, "outfits"), Oracle.of(SMALL, articles)


def test_probability_of_an_outfit_is_that_of_the_generators_choices(
    retailer: tuple[Articles, pd.DataFrame, Oracle],
) -> None:
    articles, outfits, oracle = retailer
    wide = outfits.pivot(index="outfit_id", columns="role", values="article_id")
    three = wide[wide[["top", "bottom", "shoes"]].notna().all(axis=1) & wide[["outer", "bag"]].isna().all(axis=1)].iloc[
        0
    ]
    numbers = articles.find(three[["top", "bottom", "shoes"]].tolist())
    members, probability = oracle.places[numbers], 0.0
    for style in range(len(oracle.likings)):
        product = 1.0
        for place, member in enumerate(members):
            pool = np.flatnonzero(oracle.roles == oracle.roles[member])
            scores = oracle.likings[style, pool]
            if place:
                left = np.array([style])
                each = [goes_with(oracle.articles, oracle.likings, left, members[[p]], pool) for p in range(place)]
                scores = np.mean(each, axis=0)
            weights = np.exp(SHARP * scores)
            product *= weights[pool == member].item() / weights.sum()
        probability += product
    assert oracle.log_probability(numbers[::-1]) == pytest.approx(np.log(probability))


def test_real_outfits_are_more_probable_than_others_of_the_same_roles(
    retailer: tuple[Articles, pd.DataFrame, Oracle],
) -> None:
    articles, outfits, oracle = retailer
    random = np.random.default_rng(0)
    real, broken = [], []
    for _, members in outfits.groupby("outfit_id"):
        numbers = articles.find(members["article_id"].tolist())
        roles = oracle.roles[oracle.places]
        others = np.array([random.choice(np.flatnonzero(roles == roles[number])) for number in numbers])
        real.append(oracle.log_probability(numbers))
        broken.append(oracle.log_probability(others))
    assert np.mean(np.array(real) > np.array(broken)) > 0.8


def test_roles_of_no_template_are_impossible(retailer: tuple[Articles, pd.DataFrame, Oracle]) -> None:
    _, _, oracle = retailer
    tops = np.flatnonzero(oracle.roles[oracle.places] == oracle.roles[oracle.places[0]])[:2]
    assert oracle.log_probability(tops) == -np.inf


def test_table_of_the_sample_retailer_has_every_truth(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--sample", "--articles", "200", "--customers", "200", "--days", "10", "--epochs", "1"])
    printed = capsys.readouterr().out
    for name in ("oracle", "curated outfits", "baskets", "sessions", "next clicks", "control: lift"):
        assert f"| {name} " in printed


def test_table_of_baskets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    ids = [f"{number:010}" for number in range(90)]
    articles = pd.DataFrame("x", index=range(90), columns=[*HM_COLUMNS, "prod_name", "detail_desc"])
    articles = articles.assign(article_id=ids, product_type_name=[f"type {number % 3}" for number in range(90)])
    articles.to_parquet(tmp_path / "articles.parquet")
    rows = []
    for day in range(4):
        for customer in range(120):
            first = 60 if day > 1 and customer % 4 == 0 else 30 * (customer % 2)  # the last 30 are new on the third day
            chosen = first + 3 * random.integers(10, size=3) + np.arange(3)
            rows += [(f"c{customer}", ids[number], f"2020-09-{16 + day}") for number in chosen]
    frame = pd.DataFrame(rows, columns=["customer_id", "article_id", "t_dat"])
    frame.assign(t_dat=pd.to_datetime(frame["t_dat"])).to_parquet(tmp_path / "transactions_train.parquet")
    main(["--hm-week", str(tmp_path), "--epochs", "1"])
    printed = capsys.readouterr().out
    assert "baskets of training, " in printed
    for name in ("uniform", "popularity-matched", "new article", "AUC"):
        assert f"| {name} " in printed
