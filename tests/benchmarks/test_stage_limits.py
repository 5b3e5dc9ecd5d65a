"""Sizes read from bundles, each formula at sizes that are counted by hand, and the table of made-up figures."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from assets.catalogue_errors import ErrorSearch
from assets.daily import STAGES
from atelier.attributes.config import AttributeConfig
from atelier.attributes.network.architecture import ArticleBatch, AttributeNetwork, Sizes
from atelier.bundles import CONFIG, WEIGHTS
from atelier.errors import PartitionMissing
from atelier.nn.attention import CausalTransformer
from atelier.recommenders.factorisation.als_config import ALSConfig
from atelier.recommenders.factorisation.hybrid_config import HybridConfig
from atelier.recommenders.sequential.transformer_config import TransformerConfig
from benchmarks import kept_figures, machine_limits, stage_limits, stage_work
from benchmarks.full_size_figures import WHOLE, Row
from benchmarks.full_size_job import RECOMMENDERS
from benchmarks.full_size_retailer import history_ends
from benchmarks.machine_limits import GIGA
from benchmarks.stage_limits import BYTES, PRODUCTS, START, Machine
from benchmarks.stage_work import BFLOAT16, FLOAT32, WORK, Night, Work
from benchmarks.training_limits import counted
from resources.model_store import ModelStore
from resources.retailer import Home

#: Half of the customers have a history, of two interactions each, so that 50 of the sample do.
NIGHT = Night(
    articles=10,
    offered=4,
    ranked=8,
    ranked_offered=3,
    customers=100,
    fitted=50,
    pairs=100,
    positions=100,
    factors=2,
    attribute_examples=6,
    photographs=2,
    epochs=3,
)
MACHINE = Machine(float32=100.0, bfloat16=200.0, copied=10.0)


def test_als_solves_by_four_products_for_each_vector_and_pair() -> None:
    # 58 vectors: 4 products with a 2 × 2 matrix, and 3 cells of the symmetric one; 100 pairs: 2 sides × 4 × 2 × 2.
    assert stage_work.als_fit(NIGHT, ALSConfig(iterations=10)) == 10 * (58 * (16 + 3) + 100 * 32)


def test_lists_are_products_of_all_queries_with_all_candidates() -> None:
    assert NIGHT.judged == 50
    assert stage_work.lists(3, 5, 7) == 105
    assert stage_work.served_lists(NIGHT) == (50 + 50) * 3 * 2
    assert stage_work.judged_lists(NIGHT) == 2 * 50 * 4 * 2
    assert stage_work.joined_lists(NIGHT) == 2 * 50 * 4 * 4
    assert stage_work.als_neighbours(NIGHT) == 8 * 3 * 2
    assert stage_work.neighbours(NIGHT) == 10 * 4 * 2
    assert stage_work.image_neighbours(NIGHT) == 10 * 4 * 2048
    assert stage_work.new_photographs(NIGHT) == 2 * 4.1e9


def test_the_last_block_of_a_history_is_computed_at_its_last_position() -> None:
    # A block of two numbers: four 2 × 2 matrices, and 2 × 4 twice for the feed-forward layer: 32; keys and values: 8.
    config = TransformerConfig(blocks=2, feed_forward=2)
    assert stage_work.encoded_histories(NIGHT, config) == 50 * (2 * (32 + 8) + (32 - 8))


def test_trainings_go_forward_and_backward_for_the_epochs_that_are_known() -> None:
    blocks = TransformerConfig(blocks=1, feed_forward=2, negatives=5)
    assert stage_work.transformer_fit(NIGHT, blocks) == 3 * 3 * 50 * (32 + 5 * 4)
    assert stage_work.hybrid_fit(NIGHT, HybridConfig(negatives=5)) == 3 * 3 * 100 * 5 * 2
    unknown = replace(NIGHT, epochs=None)
    assert stage_work.transformer_fit(unknown) is None
    assert stage_work.hybrid_fit(unknown) is None
    bounded = replace(unknown, to_bounds=True)
    assert stage_work.transformer_fit(bounded, blocks) == 3 * 4_000_000 * (50 / 100) * (32 + 5 * 4)
    assert stage_work.hybrid_fit(bounded, HybridConfig(negatives=5)) == 3 * 3_000_000 * 5 * 2


def test_the_network_of_attributes_is_the_sum_of_its_layers() -> None:
    config = AttributeConfig(image_units=1, filters=2, text_units=3, brand_dim=4, division_dim=5, joint_units=6)
    # 30 product types and 48 values are drawn.
    each = (2048 + 30) * 1 + 2 * 3 + (1 + 3 + 4 + 5 + 30) * 6 + 6 * 48
    assert stage_work.attribute_network(config) == each
    assert stage_work.labelled(replace(NIGHT, articles=1000)) == 996
    assert stage_work.attribute_training(config) == 3 * each - 2078
    whole = stage_work.attribute_network(AttributeConfig.for_data(10))
    assert stage_work.attribute_fit(NIGHT) == 6 * stage_work.attribute_training(AttributeConfig.for_data(10))
    assert stage_work.attribute_prediction(NIGHT) == 10 * whole


def test_pytorch_counts_the_same_of_the_network_of_attributes() -> None:
    config = AttributeConfig.for_data(100_000)
    sizes = Sizes(image=2048, types=30, words=10, brands=1, divisions=1, classes=(40, 8))
    network, none = AttributeNetwork(config, sizes).train(), torch.zeros(4, dtype=torch.int64)
    batch = ArticleBatch(torch.rand(4, 1, 2048), torch.full((4, 3), 5), none, none, none, torch.zeros(4, 48, 4))
    convolution = 3 * config.token_dim * config.filters  # of three words, at one position
    forward = 4 * (stage_work.attribute_network(config) + convolution)
    assert counted(lambda: network(batch)) == pytest.approx(2 * forward / GIGA)
    training = 4 * (stage_work.attribute_training(config) + 3 * convolution)
    assert counted(lambda: network(batch).sum().backward()) == pytest.approx(2 * training / GIGA)


def test_pytorch_counts_the_same_of_a_history_but_for_products_between_its_positions() -> None:
    night, config = replace(NIGHT, factors=16), TransformerConfig(heads=2)  # 50 histories of two positions
    layers = CausalTransformer(16, 2, config.blocks, config.heads, 32, 0.0, gated=False).eval()
    between = 2 * 16 * (4 + 2)  # keys and values, of two positions in the first block and of the last in the second
    with torch.inference_mode():
        found = counted(lambda: layers.at(torch.rand(50, 2, 16), torch.ones(50, dtype=torch.int64)))
    assert found == pytest.approx(2 * (stage_work.encoded_histories(night, config) + 50 * between) / GIGA)


def test_the_search_for_errors_trains_a_network_for_each_fold() -> None:
    small = stage_work.config_for(10, max_epochs=2)
    each = 2 * 2 * stage_work.attribute_training(small) + stage_work.attribute_network(small)
    assert stage_work.error_search(NIGHT, ErrorSearch(folds=3, max_epochs=2)) == 10 * each


def test_every_step_of_a_night_has_an_entry() -> None:
    # What belongs to a recommender that the full-size retailer does not fit is not run there.
    made = {stage.name for stage in STAGES if stage.recommender in {None, *RECOMMENDERS}}
    assert made <= set(WORK)


def test_sizes_are_those_of_the_models_of_the_day(tmp_path: Path) -> None:
    home, day = Home(tmp_path), history_ends() + timedelta(days=1)
    with pytest.raises(PartitionMissing, match="als_model"):
        Night.of(home, 0.01, day)
    als = {
        "article.ranked": np.array([True, True, False]),
        "article.offered": np.array([True, False, True]),
        "profile.customers": np.zeros((4, 16), np.float32),
        "profile.history.columns": np.zeros(9, np.int32),
        "customer.seen.starts": np.zeros(6, np.int64),
    }
    transformer = {"profile.history.codes": np.zeros(7, np.int32)}
    attributes = {"config": {"batch_size": 8}, "history": [{"step": 2}, {"step": 5}]}
    saves: dict[str, Callable[[Path], None]] = {
        "als_model": lambda folder: save_file(als, folder / WEIGHTS),
        "transformer_model": lambda folder: save_file(transformer, folder / WEIGHTS),
        "attribute_model": lambda folder: (folder / CONFIG).write_text(json.dumps(attributes)) and None,
    }
    for name, save in saves.items():
        ModelStore(home.store).publish(name, day, save, {})
    wanted = Night(3, 2, 2, 1, 5, 4, 9, 7, 16, attribute_examples=40, photographs=11, epochs=5)
    assert Night.of(home, 0.01, day, 5) == wanted


def _row(step: str, processor: float | None, moved: int = 0) -> Row:
    return Row(share=1, stage="day1", step=step, wall=1, processor=processor, read=moved, written=0)


def test_the_limit_of_a_step_is_its_highest_bound() -> None:
    rows = [
        _row("completeness", 2.0),
        _row("report", 8.0, moved=20),
        _row("image_embeddings", 1e9),
        _row("articles", None),
        _row("outfits", 0.0),
        _row(WHOLE, 1e9),
    ]
    photographs, report, smallest = stage_limits.limits(rows, NIGHT, MACHINE)
    assert (photographs.highest, photographs.seconds) == (PRODUCTS, 2 * 2 * 4.1e9 / 200)
    assert report.bounds == {START: 2.0, BYTES: 4.0}
    assert (report.highest, smallest.highest) == (BYTES, START)
    assert "| report | 8.0 | 0.00 | 4.0 |  | 4.0, bytes | 2.0 | queries of each section" in report.line()
    assert stage_limits.table([report, smallest]).endswith("| all steps | 10.0 | 0.0 | | | 6.0 | 1.7 | |")


def test_products_add_up_over_precisions_and_are_unknown_where_a_size_is() -> None:
    both = Work("", {FLOAT32: lambda night: 100.0, BFLOAT16: lambda night: 100.0})
    assert MACHINE.seconds_of(both, NIGHT) == 2 + 1
    assert MACHINE._replace(bfloat16=1.0).seconds_of(both, NIGHT) == 2 + 2
    assert MACHINE.seconds_of(Work("", {FLOAT32: lambda night: None}), NIGHT) is None
    assert MACHINE.seconds_of(Work(""), NIGHT) is None


def test_the_command_prints_a_table_of_a_complete_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = machine_limits.arguments(["--size=16", "--megabytes=1", "--repeats=1"])
    monkeypatch.setattr(machine_limits, "arguments", lambda given=None: tiny)
    with pytest.raises(SystemExit, match="no complete judge"):
        stage_limits.main([f"{tmp_path}", "--stage=judge"])
    rows = [_row("offline_metrics", 4.0), _row("report", 2.0), _row(WHOLE, 7.0)]
    kept_figures.append(tmp_path / "figures.jsonl", [row.model_copy(update={"stage": "judge"}) for row in rows])
    stage_limits.main([f"{tmp_path}", "--stage=judge"])
    printed = capsys.readouterr().out
    assert "The start of a process: 2.0 s. The whole run: 7.0 s." in printed
    assert "| offline_metrics | 4.0 | 0.00 | 0.0 |  | 2.0, start | 2.0 |" in printed
