"""Times to an F1 by hand, the data of both sources, and a run of each form on a few articles."""

import math
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from atelier.attributes import AttributeConfig
from benchmarks.attribute_training import RECIPE, Clock, Curve, as_text, config_of, draw, hm_data, main, ratios, run
from benchmarks.attribute_training_scale import CLASSES, LABELLED, SHOTS, TYPES, Cost, synthetic
from benchmarks.attribute_training_scale import as_text as scale_text
from benchmarks.hm_articles import ATTRIBUTES

JOINT = Curve("joint", [0, 10, 20], [0.0, 1.0, 2.0], [0.0, 2.0, 4.0], [0.1, 0.5, 0.9], 0.9)
PUBLISHED = Curve("published", [0, 100, 200], [0.0, 5.0, 12.0], [0.0, 8.0, 20.0], [0.1, 0.45, 0.8], 0.8)


def test_ratios_by_hand() -> None:
    assert [PUBLISHED.reached(f1) for f1 in (0.1, 0.45, 0.46, 0.9)] == [0, 1, 2, None]
    assert ratios(JOINT, PUBLISHED, 0.8) == (6.0, 5.0)
    assert ratios(JOINT, PUBLISHED, 0.45) == (5.0, 4.0)
    assert all(math.isnan(ratio) for goal in (0.1, 0.85, 0.95) for ratio in ratios(JOINT, PUBLISHED, goal))


def test_the_table_has_the_figures_of_both() -> None:
    lines = as_text(JOINT, PUBLISHED).splitlines()
    assert lines[1].split()[-3:] == ["0.9000", "0.8000", "+0.1000"]
    assert lines[3].split() == ["steps", "20", "200"]
    assert lines[7].split() == ["0.8000", "(100%", "of", "best)", "2.0", "12.0", "6.0", "5.0"]
    assert "never" in as_text(PUBLISHED, JOINT)


def test_the_plot_stands_alone(tmp_path: Path) -> None:
    draw([JOINT, PUBLISHED], "a shop", tmp_path / "new" / "plot.svg")
    text = (tmp_path / "new" / "plot.svg").read_text()
    assert text.startswith("<svg")
    for word in ("joint", "published", "a shop"):
        assert word in text


def test_the_clock_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [10.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(time, "process_time", lambda: 2 * now[0])
    clock = Clock(torch.device("cpu"))
    readings = []
    for _ in range(3):
        with clock.stopped() as reading:
            readings.append(reading)
            now[0] += 100
        now[0] += 3
    assert readings == [(0, 0), (3, 6), (6, 12)]


def test_both_ways_train_the_same_network() -> None:
    for sizes, units in (("published", 8192), ("small", AttributeConfig().joint_units)):
        joint, published = (config_of(way, sizes, 8_000) for way in ("joint", "published"))
        assert joint.joint_units == units
        assert (joint.training, published.training) == ("joint", "published")
        assert joint.model_dump(exclude=set(RECIPE)) == published.model_dump(exclude=set(RECIPE))
        assert (published.batch_size, published.learning_rate, published.dropout) == (64, 0.01, 0)


@pytest.fixture
def hm(tmp_path: Path) -> Path:
    rows = [
        {"article_id": f"0{place:09}", "product_code": f"{place // 2}", "prod_name": "Tee", "detail_desc": None}
        | {attribute: ["red", "blue"][place % 2] for attribute in ATTRIBUTES}
        for place in range(40)
    ]
    rows[3]["section_name"] = None
    pd.DataFrame(rows).to_csv(tmp_path / "articles.csv", index=False)
    return tmp_path


def test_articles_without_a_vector_are_left_out(hm: Path, tmp_path: Path) -> None:
    names = np.array(["0000000003", "0000000002", "stranger"])
    np.savez(tmp_path / "v.npz", names=names, vectors=np.eye(3, dtype=np.float32))
    data = hm_data(hm, tmp_path / "v.npz")
    assert data.articles["article_id"].tolist() == ["0000000002", "0000000003"]
    assert [vectors[0].tolist() for vectors in data.articles["embeddings"]] == [[0, 1, 0], [1, 0, 0]]
    assert len(data.labels) == 2 * len(ATTRIBUTES) - 1
    assert not {"product_type", "brand", "division"} & set(data.articles)
    assert len(hm_data(hm, None).articles) == 40


def test_a_run_follows_training_and_a_limit_cuts_it_off(hm: Path) -> None:
    data = hm_data(hm, None)
    config = AttributeConfig(max_epochs=3, batch_size=8, filters=8, joint_units=8, text_units=4, image_units=4)
    curve = run(data, "joint", config, math.inf, torch.device("cpu"))
    assert curve.steps[0] == 0
    assert curve.steps == sorted(set(curve.steps))
    assert curve.wall[0] == 0
    assert (np.diff(curve.wall) > 0).all()
    assert 0 <= curve.final <= 1
    cut = run(data, "joint", config, 0.0, torch.device("cpu"))
    assert cut.steps == [0, 1]
    assert math.isnan(cut.final)


def test_synthetic_articles_are_labelled_as_published() -> None:
    encoded, targets, heads = synthetic(4_000, 7)
    assert encoded.tokens.shape == (4_000, 7)
    assert len(encoded.shots.vectors) == SHOTS * 4_000
    assert encoded.types.max() < TYPES
    labelled = (targets >= 0).mean(axis=0)
    np.testing.assert_allclose(labelled, LABELLED, atol=0.03)
    assert heads.sizes == tuple(CLASSES)
    assert [int(head.samples.sum()) for head in heads.heads] == (targets >= 0).sum(axis=0).tolist()


def test_an_epoch_is_extrapolated_and_says_so() -> None:
    text = scale_text([Cost("joint", 128, 30, 0.5, 0.9, 240, 1_000, 10**9, 2 * 10**9, 0)], 100)
    assert "joint              128      30    0.500    0.900       240       2.0 min" in text
    assert "extrapolated" in text
    assert "not measured" in text


def test_the_command_runs_on_the_sample_retailer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "benchmarks.attribute_training.config_of",
        lambda way, sizes, articles: AttributeConfig(
            training=way, max_epochs=1, filters=8, joint_units=8, text_units=4, image_units=4, batch_size=64
        ),
    )
    main(["--articles", "60", "--threads", "1", "--plot", str(tmp_path / "plot.svg")])
    assert "sample retailer, 60 articles" in capsys.readouterr().out
    assert (tmp_path / "plot.svg").is_file()
