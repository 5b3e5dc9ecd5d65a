"""The comparison with sequence models of other libraries on tiny data: protocol, clock, table, plot.

What the libraries themselves give is recorded, tested where their environments have been made, and skipped elsewhere.
"""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.recommenders.sequential.transformer import Transformer
from atelier.recommenders.sequential.transformer_config import TransformerConfig
from benchmarks import our_sequences_side, ratios, sequences_against_peers
from benchmarks.leave_one_out import PROTOCOL
from benchmarks.our_sequences_side import Watched
from benchmarks.ratios import Seconds
from benchmarks.sequence_sides import (
    FEWEST,
    Clock,
    Point,
    Sequences,
    SideResult,
    quality,
    reason_to_stop,
    side_arguments,
)

SETTINGS: dict[str, dict[str, object]] = {
    "esasrec": {
        "layers": "ligr",
        "loss": "sampled_softmax",
        "n_negatives": 8,
        "n_factors": 16,
        "session_max_len": 8,
        "batch_size": 8,
        "lr": 0.01,
    },
    "replay_small": {"embedding_dim": 16, "num_heads": 2, "max_sequence_length": 8, "batch_size": 8, "negatives": 8},
}
"""Of each library a peer that was recorded."""
OPTIONS = ("--threads=1", "--epochs=3", "--patience=3", "--limit=600", "--judged=50", "--repeats-allowed")


def recorded(peer: str) -> str:
    """What the peer's side printed for :func:`cycles` with its :data:`SETTINGS` and the options of :data:`OPTIONS`."""
    return Path(__file__).with_name(f"sequences_of_{peer}.json").read_text(encoding="utf-8")


def cycles() -> Sequences:
    """60 customers who go round among 12 articles, each from another start: what comes next is never in doubt."""
    customers = np.repeat(np.arange(60), 8)
    return Sequences.of(customers, (customers + np.tile(np.arange(8), 60)) % 12)


def result(name: str, curve: list[tuple[float, float]], kept: int, ndcg: float, lists: float = 1.0) -> SideResult:
    """A side with this curve of processor seconds and NDCG."""
    points = tuple(Point(wall=2 * seconds, processor=seconds, ndcg=value) for seconds, value in curve)
    options = side_arguments("").parse_args(["folder", f"--name={name}", "--settings={}", *OPTIONS])
    made = SideResult.of(options, points, kept, "told so", quality(*nobody_missed()), Seconds(lists, lists))
    return made.model_copy(update={"ndcg": ndcg})


def nobody_missed() -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """One customer whose list of one holds the truth."""
    return pd.DataFrame({"customer": [0], "article": [5], "rank": [1]}), np.array([5]), np.array([0])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Holds :func:`cycles`."""
    cycles().save(tmp_path)
    return tmp_path


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=8), min_size=1, max_size=6))
def test_sequences_keep_the_order_and_leave_the_last_out(drawn: list[list[int]]) -> None:
    customers = np.repeat(np.arange(len(drawn)), [len(each) for each in drawn])
    sequences = Sequences.of(customers, np.array([article for each in drawn for article in each]))
    long = [each for each in drawn if len(each) >= FEWEST]
    names = np.unique(np.array([article for each in long for article in each], dtype=int))
    assert len(sequences.starts) == len(long) + 1
    for last in (1, 2):
        frame = sequences.before(last)
        found = [group["article"].tolist() for _, group in frame.groupby("customer")]
        assert [[int(names[article]) for article in each] for each in found] == [each[:-last] for each in long]
        assert frame["position"].tolist() == [place for each in long for place in range(len(each) - last)]
        assert names[sequences.from_end(last - 1)].tolist() == [each[-last] for each in long]


def test_some_customers_are_whole_and_always_the_same(folder: Path) -> None:
    sequences = Sequences.load(folder)
    few = sequences.drawn(7)
    assert len(few.starts) == 8
    assert len(few.articles) == 7 * 8
    assert sequences.drawn(7).articles.tolist() == few.articles.tolist()
    assert sequences.drawn(1000).articles.tolist() == sequences.articles.tolist()


def test_quality_counts_those_without_a_list_as_missed() -> None:
    lists = pd.DataFrame({"customer": [0, 0, 2, 2], "article": [7, 8, 9, 5], "rank": [1, 2, 1, 2]})
    found = quality(lists, np.array([8, 1, 9, 5]), np.array([0, 1, 2, 3]))
    assert found.recall == 0.5
    assert found.ndcg == pytest.approx((1 / np.log2(3) + 1) / 4)
    with pytest.raises(ValueError, match="ranks other than 1 to 10"):
        quality(lists.assign(rank=11), np.array([8, 1, 9, 5]), np.arange(4))
    with pytest.raises(ValueError, match="not asked for"):
        quality(lists, np.array([8, 1, 9, 5]), np.array([0, 1]))


def test_the_clock_stands_still_while_lists_are_judged() -> None:
    times = iter([0.0, 5.0, 100.0, 107.0, 200.0, 201.0])
    clock = Clock(lambda: Seconds(next(times), 0.0))
    with clock.running(), clock.standing():
        pass
    assert clock.spent.wall == 5.0 + 7.0
    with clock.running():
        pass
    assert clock.spent.wall == 5.0 + 7.0 + 1.0


def test_training_ends_by_patience_epochs_or_limit() -> None:
    points = [Point(wall=0, processor=10 * (epoch + 1), ndcg=value) for epoch, value in enumerate([0.1, 0.3, 0.2, 0.3])]
    assert reason_to_stop(points[:2], 9, 2, 1000) is None
    assert reason_to_stop(points[:2], 2, 2, 1000) == "2 epochs, the most allowed"
    assert reason_to_stop(points[:2], 9, 2, 29) == "the limit of 29 processor seconds"
    assert reason_to_stop(points[:2], 9, 2, 30) is None
    assert reason_to_stop(points, 9, 2, 1000) == "2 epochs without better validation lists"


def test_the_table_tells_the_time_to_the_same_quality() -> None:
    ours = result("transformer", [(1.0, 0.02), (2.0, 0.05), (3.0, 0.07), (4.0, 0.06)], 3, 0.06, lists=2.0)
    slow = result("slow", [(5.0, 0.01), (10.0, 0.05), (15.0, 0.04)], 2, 0.05, lists=6.0)
    better = result("better", [(5.0, 0.08)], 1, 0.065)
    rows = sequences_against_peers.table([ours, slow, better])
    assert rows["fit"].tolist() == [3.0, 10.0, 5.0]
    assert rows["epochs"].tolist() == ["3 of 4", "2 of 3", "1 of 1"]
    assert rows["ours_as_good"].tolist()[:2] == [3.0, 2.0]
    assert rows["faster"].tolist()[:2] == [1.0, 5.0]
    assert np.isnan(rows["faster"][2])
    assert rows["lists_faster"].tolist() == [1.0, 3.0, 0.5]
    first, second = sequences_against_peers.verdict([ours, slow, better]).splitlines()
    assert first == "slow: 5.0 times faster to its best, NDCG@10 equal or better; goal (3 times, equal or better) met"
    assert second.startswith("better: its best was never reached, NDCG@10 worse;")
    assert second.endswith("missed")
    drawn = sequences_against_peers.plot([ours, slow, better])
    assert drawn.startswith("<svg")
    assert all(name in drawn for name in ("slow", "better", "NDCG@10 on validation"))


def test_our_side_learns_the_cycles(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = json.dumps({"factors": 16, "dropout": 0.0, "batch_interactions": 64, "embedding_learning_rate": 0.2})
    options = ("--threads=1", "--epochs=12", "--patience=12", "--limit=1", "--judged=50", "--repeats-allowed")
    our_sequences_side.main([str(folder), "--name=transformer", f"--settings={settings}", *options])
    found = SideResult.model_validate_json(capsys.readouterr().out.splitlines()[-1])
    assert len(found.curve) == 12
    assert found.ndcg > 0.9  # by chance: the mean of 1 / log2(1 + rank) over 12 ranks is .38
    assert found.fit.ndcg > 0.9
    seconds = [point.processor for point in found.curve]
    assert seconds == sorted(seconds)


def test_what_is_judged_in_the_course_of_a_fit_is_the_model_of_that_moment() -> None:
    sequences = cycles()
    trained, whole = (our_sequences_side.interactions(sequences.before(last)) for last in (2, 1))
    config = TransformerConfig.model_validate(PROTOCOL | {"factors": 16, "max_epochs": 1})
    model, seen = Watched(config), list[pd.DataFrame]()
    model.watch = lambda _: seen.append(model.as_it_is(trained).recommend(k=5))
    model.fit(whole)
    pd.testing.assert_frame_equal(seen[0], model.with_histories(trained).recommend(k=5))
    unwatched = Transformer(config).fit(whole)
    pd.testing.assert_frame_equal(model.recommend(k=5), unwatched.recommend(k=5))


def test_a_watched_fit_has_what_counts_add() -> None:
    random = np.random.default_rng(0)
    codes = random.integers(0, 12, (300, 1)) + 3 * np.arange(5)  # every third of a circle of twelve: the next is known
    frame = pd.DataFrame({"customer": np.repeat(np.arange(300), 5), "article": (codes % 12).ravel()})
    config = TransformerConfig.model_validate(PROTOCOL | {"factors": 16, "max_epochs": 1})
    watched = Watched(config).fit(our_sequences_side.interactions(frame))
    assert "near.weights" in watched.weights
    unwatched = Transformer(config).fit(our_sequences_side.interactions(frame))
    np.testing.assert_array_equal(watched.weights["near.weights"], unwatched.weights["near.weights"])


def test_a_side_that_was_measured_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    printed = json.dumps(json.loads(recorded("esasrec")))

    def run(python: Path | str, module: str, given: list[str], cwd: Path) -> str:
        asked.append(module)
        return f"some line\n{printed}\n"

    monkeypatch.setattr(sequences_against_peers, "run", run)
    monkeypatch.setattr(sequences_against_peers, "environment", lambda folder, lock: folder / "bin" / "python")
    file, plot = tmp_path / "data.txt", tmp_path / "plot.svg"
    file.write_text("\n".join(f"{customer} 1 2 3 4 {customer}" for customer in range(1, 6)), encoding="utf-8")
    given = ["--sequences", str(file), "--peers", "esasrec", "--kept", str(tmp_path / "kept"), "--plot", str(plot)]
    for _ in range(2):
        sequences_against_peers.main(given)
    assert asked == ["benchmarks.our_sequences_side", "benchmarks.rectools_sequences_side"]
    assert plot.read_text(encoding="utf-8").startswith("<svg")
    sequences_against_peers.main([*given, "--limit=7"])
    assert len(asked) == 4


def test_data_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="--sequences is the file or folder"):
        sequences_against_peers.main(["--sequences", str(tmp_path / "nothing")])


@pytest.mark.parametrize("peer", SETTINGS)
def test_the_record_is_a_result_of_the_library(peer: str) -> None:
    found = SideResult.model_validate_json(recorded(peer))
    assert json.loads(found.settings) == SETTINGS[peer]
    assert found.fit.ndcg == max(point.ndcg for point in found.curve)


def test_locks_pin_the_libraries_and_say_no_address() -> None:
    for library, package in (
        (sequences_against_peers.RECTOOLS, "rectools"),
        (sequences_against_peers.REPLAY, "replay-rec"),
    ):
        lock = library.file.read_text(encoding="utf-8")
        assert f"{package}==" in lock
        assert "://" not in lock


@pytest.mark.parametrize("peer", SETTINGS)
def test_the_library_gives_what_was_recorded(peer: str, folder: Path) -> None:
    library, _ = sequences_against_peers.PEERS[peer]
    environments = Path(os.environ.get("PEER_ENVIRONMENTS", sequences_against_peers.ENVIRONMENTS))
    python = environments / library.file.stem.removeprefix("requirements-") / "bin" / "python"
    if not python.exists():
        pytest.skip(f"the environment of {library.lock} is missing: benchmarks.sequences_against_peers makes it")
    given = [str(folder), f"--name={peer}", f"--settings={json.dumps(SETTINGS[peer])}", *OPTIONS]
    printed = ratios.run(python, library.module, given, cwd=Path(ratios.__file__).parents[1])
    found, before = (SideResult.model_validate_json(each) for each in (printed.splitlines()[-1], recorded(peer)))
    assert [point.ndcg for point in found.curve] == pytest.approx([point.ndcg for point in before.curve], abs=0.05)
    assert (found.recall, found.ndcg) == pytest.approx((before.recall, before.ndcg), abs=0.05)


def test_planted_sequences_mostly_go_on_to_one_of_a_few_articles() -> None:
    found = sequences_against_peers.planted(600)
    lengths = np.diff(found.starts)
    assert len(lengths) == 600
    assert lengths.min() == FEWEST
    assert lengths.max() == sequences_against_peers.LONGEST
    inside = np.ones(len(found.articles) - 1, dtype=bool)
    inside[found.starts[1:-1] - 1] = False
    pairs = pd.DataFrame({"article": found.articles[:-1][inside], "next": found.articles[1:][inside]})
    often = pairs.groupby("article")["next"].agg(lambda after: after.value_counts().head(4).sum() / len(after))
    assert often[pairs["article"].value_counts() > 40].mean() > 0.65
    assert (found.articles == sequences_against_peers.planted(600).articles).all()


def test_rows_of_the_table_of_speed_say_what_was_reached() -> None:
    ours = result("transformer", [(1.0, 0.02), (2.0, 0.05)], 2, 0.04, lists=1.0)
    slow, better = (
        result(name, [(8.0, best)], 1, best, lists=4.0)
        for name, best in (("esasrec_small", 0.05), ("replay_small", 0.06))
    )
    rows = sequences_against_peers.speed_rows([ours, slow, better], "9 × 9")
    assert [row.peer for row in rows[::2]] == ["RecTools, esasrec_small", "RePlay, replay_small"]
    assert [row.processor_ratio for row in rows] == [0.25] * 4
    assert "0.0500 reached" in rows[0].checked
    assert "0.0600 NOT REACHED" in rows[2].checked
