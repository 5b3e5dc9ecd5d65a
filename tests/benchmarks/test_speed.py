"""The plumbing of the comparisons of speed: rows, tables, checks of equality, the plot. No timing."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.compute as pc
import pytest

from benchmarks import (
    als_against_implicit,
    attributes_against_linear,
    environments,
    features_against_peers,
    hybrid_against_dense,
    images_against_dataloader,
    metrics_against_rectools,
    pca_against_sklearn,
    ratios,
    search_against_peers,
    sequences_against_peers,
    speed,
    warp_against_lightfm,
)
from benchmarks.ratios import Row, Seconds

ROWS = [
    Row.of("a", "fit", "peer", Seconds(2.0, 3.0), Seconds(4.0, 4.0), goal=1.1, checked="all equal"),
    Row.of("b", "rank", "itself", Seconds(3.0, 1.0), Seconds(2.0, 4.0)),
]


def test_a_row_is_ours_over_theirs() -> None:
    assert [row.ratio for row in ROWS] == [0.5, 1.5]
    assert [row.processor_ratio for row in ROWS] == [0.75, 0.25]


def test_rows_come_back_as_written(tmp_path: Path) -> None:
    ratios.write(ROWS, tmp_path / "rows.json")
    assert ratios.read(tmp_path / "rows.json") == ROWS
    assert json.loads((tmp_path / "rows.json").read_text())[0]["what"] == "fit"
    ratios.write(ROWS, None)


def test_the_table_says_what_was_checked_and_the_goal() -> None:
    header, first, checked, second = ratios.table(ROWS).splitlines()
    assert header.split() == ["against", "ours", "(s)", "theirs", "(s)", "ratio", "processor", "goal"]
    assert first.split() == ["fit", "peer", "2.00", "4.00", "0.50", "0.75", "1.10"]
    assert checked.strip() == "all equal"
    assert second.split() == ["rank", "itself", "3.00", "2.00", "1.50", "0.25"]


def test_turns_are_taken_and_the_last_results_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    clock = iter([0.0, 5.0, 10.0, 11.0, 20.0, 22.0, 30.0, 39.0])
    monkeypatch.setattr(ratios, "time", SimpleNamespace(perf_counter=lambda: next(clock), process_time=lambda: 0.0))
    seconds, results = ratios.in_turns(2, lambda: order.append("a") or len(order), lambda: order.append("b") or "b")
    assert order == ["a", "b", "a", "b"]
    assert results == [3, "b"]
    assert [one.wall for one in seconds] == [2.0, 1.0]


def test_processor_time_is_that_of_children_too() -> None:
    busy = "import time\nwhile time.process_time() < 0.3: pass"
    (here,), _ = ratios.in_turns(1, lambda: subprocess.run([sys.executable, "-c", busy], check=True))
    assert here.processor >= 0.3


def test_a_benchmark_that_fails_is_no_result() -> None:
    with pytest.raises(RuntimeError, match="ended with"):
        ratios.run(sys.executable, "benchmarks.there_is_none", [], cwd=speed.PLOT.parents[1])


def test_peak_memory_is_in_mebibytes() -> None:
    assert 10 < ratios.peak_memory() < 100_000


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_peak_memory_of_a_child_is_not_its_parents() -> None:
    """What getrusage says of a child begins with what its parent held; the training benchmark measures in children."""
    held = np.ones(2**25)
    code = "from benchmarks.attribute_training_scale import peak_memory; print(peak_memory())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < ratios.peak_memory() - held.nbytes / 2**20 / 2


def test_all_benchmarks_are_run_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path))
    asked: list[str] = []

    def run(python: str, module: str, arguments: list[str]) -> str:
        asked.append(module)
        ratios.write(ROWS, Path(arguments[-1].removeprefix("--out=")))
        return "text"

    monkeypatch.setattr(speed, "run", run)
    plot, out = tmp_path / "speed.svg", tmp_path / "rows.json"
    speed.main(["--out", str(out), "--plot", str(plot)])
    assert set(asked) == {f"benchmarks.{module}" for module, _ in speed.BENCHMARKS.values()}
    assert len(ratios.read(out)) == 2 * len(speed.BENCHMARKS)
    drawn = plot.read_text()
    assert drawn.startswith("<svg")
    assert "against peer" in drawn
    assert "0.50" in drawn
    before = speed.PLOT.stat() if speed.PLOT.exists() else None
    speed.main(["--only", "als"])  # a part leaves the plot in docs alone
    assert (speed.PLOT.stat() if speed.PLOT.exists() else None) == before


def test_threads_are_for_those_that_take_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, list[str]] = {}

    def run(python: str, module: str, arguments: list[str]) -> str:
        told[module.removeprefix("benchmarks.")] = [given for given in arguments if "thread" in given]
        ratios.write(ROWS, Path(arguments[-1].removeprefix("--out=")))
        return "text"

    monkeypatch.setattr(speed, "run", run)
    speed.main([str(tmp_path), "--threads", "3", "--plot", str(tmp_path / "speed.svg")])
    without = {"metrics_against_rectools", "pca_against_sklearn"}
    assert {module for module, given in told.items() if not given} == without
    assert all(given == ["--threads=3"] for module, given in told.items() if module not in without)
    assert set(told) == {module for module, _ in speed.BENCHMARKS.values()}


def test_every_option_that_speed_gives_is_known() -> None:
    compared = (
        als_against_implicit,
        attributes_against_linear,
        features_against_peers,
        hybrid_against_dense,
        images_against_dataloader,
        metrics_against_rectools,
        pca_against_sklearn,
        search_against_peers,
        sequences_against_peers,
        warp_against_lightfm,
    )
    modules = {module.NAME: module for module in compared}
    for name in speed.THREADED:
        module, options = speed.BENCHMARKS[name]
        assert "threads" in modules[module].arguments(list(options))
    for name, (module, options) in speed.BENCHMARKS.items():
        for given in (options, (*options, *speed.SMALL[name])):
            modules[module].arguments(list(given))


def test_a_sample_has_as_many_interactions_for_each_customer_as_the_whole() -> None:
    drawn = als_against_implicit.interactions(4000, 50, 40_000, sample=100)
    assert drawn.num_rows == 1000
    assert pc.count_distinct(drawn["customer_id"]).as_py() == 100


def test_both_sides_of_als_rank_alike() -> None:
    given = ["--customers=300", "--articles=80", "--interactions=1500", "--factors=8", "--repeats=1", "--k=5"]
    rows = als_against_implicit.measure(als_against_implicit.arguments([*given, "--threads=1"]))
    assert [row.goal for row in rows] == [1.1, 1.0]
    assert rows[1].checked.startswith(("100", "99"))


def test_lists_that_differ_are_no_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = np.tile(np.arange(5), (200, 1))
    ours = theirs.copy()
    ours[:2] = ours[:2, ::-1]
    assert als_against_implicit.same_lists(ours, theirs).startswith("99.00% of the lists are the same")
    ours[2] += 1
    with pytest.raises(RuntimeError, match=r"only 98\.50% of the lists are the same, not 99%"):
        als_against_implicit.same_lists(ours, theirs)
    given = ["--customers=300", "--articles=80", "--interactions=1500", "--factors=8", "--repeats=1", "--threads=1"]
    nobodys = lambda sides, _: (np.zeros((len(sides.data.customer_ids), 30)), None)  # noqa: E731
    monkeypatch.setattr(als_against_implicit.TrainTest, "bare_recommend", nobodys)
    with pytest.raises(RuntimeError, match="of the lists are the same"):
        als_against_implicit.measure(als_against_implicit.arguments(given))


HYBRID = ["--customers=200", "--articles=60", "--interactions=900", "--factors=8", "--features=60", "--filled=4"]


def test_both_ways_of_training_have_the_same_losses_to_the_end() -> None:
    options = hybrid_against_dense.arguments([*HYBRID, "--positives=300", "--negatives=7", "--repeats=1"])
    epochs = hybrid_against_dense.Epochs(options)
    config = epochs.config()
    for shared in (False, True):
        batches = epochs.batches(7, shared) * 3
        mine, plain = epochs.ours(config, batches)(), epochs.plain(config, batches)()
        np.testing.assert_allclose(mine, plain, atol=1e-4)
        assert mine[-1] < mine[0]


def test_losses_that_differ_are_no_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    options = hybrid_against_dense.arguments([*HYBRID, "--positives=50", "--negatives=3", "--repeats=1"])
    epochs = hybrid_against_dense.Epochs(options)
    monkeypatch.setattr(epochs, "plain", lambda *_: lambda: [0.0])
    with pytest.raises(RuntimeError, match="first step differ"):
        hybrid_against_dense.against_plain(epochs, "", epochs.batches(3, shared=False))


@pytest.mark.parametrize("texts", [True, False])
def test_drawn_lists_name_an_article_once_and_give_a_rank_once(texts: bool) -> None:
    options = metrics_against_rectools.arguments(["--customers=200", "--articles=90"])
    frames = metrics_against_rectools.draw(options, texts)
    recs = frames["recs"].to_pandas()
    assert not recs.duplicated(["customer_id", "article_id"]).any()
    assert not recs.duplicated(["customer_id", "rank"]).any()
    assert set(recs["article_id"]) | set(frames["truth"]["article_id"].to_pylist()) <= set(
        frames["catalogue"]["article_id"].to_pylist()
    )


def test_values_that_differ_are_no_comparison() -> None:
    assert metrics_against_rectools.furthest({"map@10": 0.5}, {"map@10": 0.5 + 5e-7}) == pytest.approx(5e-7)
    with pytest.raises(RuntimeError, match="map@10"):
        metrics_against_rectools.furthest({"map@10": 0.5}, {"map@10": 0.51})
    with pytest.raises(RuntimeError, match="mrr@10"):
        metrics_against_rectools.furthest({"map@10": 0.5}, {"mrr@10": 0.5})


def test_the_peers_environment_is_made_once_for_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], check: bool) -> None:
        commands.append(command)
        (tmp_path / "peer").mkdir(exist_ok=True)

    monkeypatch.setattr(environments.subprocess, "run", run)
    for _ in range(2):
        assert environments.peers(tmp_path / "peer") == tmp_path / "peer" / "bin" / "python"
    assert ["venv" in command for command in commands] == [True, False]
    (tmp_path / "peer" / environments.PEERS.name).write_text("another")
    environments.peers(tmp_path / "peer")
    assert len(commands) == 4


@pytest.mark.parametrize(
    ("lock", "peers"),
    [(metrics_against_rectools.LOCK, ["rectools"]), (environments.PEERS, ["faiss-cpu", "usearch", "polars", "pandas"])],
)
def test_a_lock_names_its_peers_and_no_index(lock: Path, peers: list[str]) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert all(f"\n{peer}==" in text for peer in peers)
