"""The comparisons of speed: what is kept of each, what is measured again, how long each takes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from atelier.code_version import reachable
from benchmarks import kept_figures, ratios, speed
from benchmarks.machine import this_machine
from benchmarks.ratios import Row, Seconds
from benchmarks.speed_figures import Measurement, duration

Main = Callable[..., str]


class Runs:
    """Stands in for the processes of the benchmarks: which were asked for, and how many succeed before a kill."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.killed_at: str | None = None

    def __call__(self, python: str, module: str, arguments: list[str]) -> str:
        """As :func:`benchmarks.ratios.run`; a row's seconds tell which run it was."""
        name = module.removeprefix("benchmarks.")
        self.asked.append(name)
        out = Path(arguments[-1].removeprefix("--out="))
        if name == self.killed_at:
            out.write_text("[{")
            raise KeyboardInterrupt
        ours = Seconds(float(len(self.asked)), 1.0)
        ratios.write([Row.of(name, f"task of {name}", "peer", ours, Seconds(2.0, 2.0))], out)
        return f"{name} has spoken"


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    """The runs that were asked for, three comparisons in all."""
    few = {name: speed.BENCHMARKS[name] for name in ("als", "metrics", "pca")}
    monkeypatch.setattr(speed, "BENCHMARKS", few)
    monkeypatch.setattr(speed, "SECONDS", {"als": 70.0})
    found = Runs()
    monkeypatch.setattr(speed, "run", found)
    return found


@pytest.fixture
def main(runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Main:
    """Runs the command in one folder; gives what it printed."""
    monkeypatch.setattr(speed, "PLOT", tmp_path / "speed.svg")

    def called(*given: str) -> str:
        speed.main([str(tmp_path / "kept"), *given])
        return capsys.readouterr().out

    return called


def kept(tmp_path: Path) -> list[Measurement]:
    """What the file holds."""
    return kept_figures.read(tmp_path / "kept" / "figures.jsonl", Measurement)


ALS, METRICS, PCA = "als_against_implicit", "metrics_against_rectools", "pca_against_sklearn"


def test_an_interrupted_run_goes_on_with_what_is_missing(main: Main, runs: Runs, tmp_path: Path) -> None:
    runs.killed_at = METRICS
    with pytest.raises(KeyboardInterrupt):
        main()
    assert [each.conditions.comparison for each in kept(tmp_path)] == ["als"]
    assert not speed.PLOT.exists()
    runs.killed_at = None
    printed = main("--out", str(tmp_path / "rows.json"))
    assert runs.asked == [ALS, METRICS, METRICS, PCA]
    assert "2 of 3 comparisons left, of 2 it is not known how long\n  metrics" in printed
    assert printed.index(f"{ALS} has spoken") < printed.index(f"{METRICS} has spoken")
    assert [row.ours for row in ratios.read(tmp_path / "rows.json")] == [1.0, 3.0, 4.0]
    drawn = speed.PLOT.read_text()
    assert all(f"task of {name}" in drawn for name in (ALS, METRICS, PCA))
    assert "0 of 3 comparisons left\n" in main()
    assert runs.asked == [ALS, METRICS, METRICS, PCA]


def test_again_measures_again_and_an_interrupted_again_leaves_no_older_rows(
    main: Main, runs: Runs, tmp_path: Path
) -> None:
    main("--only", "als", "metrics")
    runs.killed_at = METRICS
    with pytest.raises(KeyboardInterrupt):
        main("--only", "als", "metrics", "--again")
    assert [each.conditions.comparison for each in kept(tmp_path) if each.rows] == ["als"]
    runs.killed_at = None
    printed = main("--only", "als", "metrics")
    assert runs.asked == [ALS, METRICS] * 2 + [METRICS]
    assert "metrics     about 0 s, as on" in printed, "how long it took is still known"


def test_other_sizes_and_threads_are_told_and_measured_on_their_own(main: Main, runs: Runs, tmp_path: Path) -> None:
    main("--only", "als")
    printed = main("--only", "als", "--small", "--threads", "1")
    assert "how long is not known; kept rows are not used: measured with --memory --threads=0\n" in printed
    assert runs.asked == [ALS, ALS]
    assert len(kept(tmp_path)) == 2
    assert f"{ALS} has spoken" in main("--only", "als")
    assert runs.asked == [ALS, ALS], "the first sizes' rows are still there"


@pytest.mark.parametrize(
    ("change", "told"),
    [({"cores": 64}, "64 cores"), ({"libraries": this_machine().libraries | {"torch": "1.0"}}, "torch was 1.0")],
)
def test_another_machines_rows_are_told_and_not_mixed_in(
    main: Main, runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, object], told: str
) -> None:
    other = this_machine().model_copy(update=change)
    with monkeypatch.context() as there:
        there.setattr(speed, "this_machine", lambda: other)
        main("--only", "als", "metrics")
    printed = main("--only", "als", "--plot", str(tmp_path / "plot.svg"))
    left = next(line for line in printed.splitlines() if line.startswith("  als "))
    assert "kept rows are not used: " in left
    assert told in left
    assert runs.asked == [ALS, METRICS, ALS]
    assert METRICS not in (tmp_path / "plot.svg").read_text()


def test_rows_of_other_code_are_told_and_measured_again(
    main: Main, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    main("--only", "als")
    monkeypatch.setattr(speed, "code_version", lambda *_: "another")
    assert "kept rows are not used: Atelier's code was another\n" in main("--only", "als")
    assert runs.asked == [ALS, ALS]


@pytest.mark.parametrize(
    ("name", "side"),
    [("features", "features_peers_side"), ("metrics", "rectools_side"), ("search", "search_peers_side")],
)
def test_the_code_of_a_side_that_is_a_process_counts(name: str, side: str) -> None:
    module, _ = speed.BENCHMARKS[name]
    assert f"benchmarks.{side}" in {*reachable((f"benchmarks.{module}",)), *speed.sides(module)}


def test_the_plot_shows_all_rows_that_hold(main: Main, tmp_path: Path) -> None:
    main("--only", "als")
    main("--only", "pca", "--plot", str(tmp_path / "plot.svg"))
    drawn = (tmp_path / "plot.svg").read_text()
    assert f"task of {ALS}" in drawn
    assert f"task of {PCA}" in drawn
    assert not speed.PLOT.exists(), "docs have the plot of a full run only"


def test_it_is_said_how_long_each_takes_and_took(main: Main, tmp_path: Path) -> None:
    first = main("--only", "als", "pca")
    assert first.startswith(
        "2 of 2 comparisons left, about 70 s, of 1 it is not known how long\n"
        "  als         about 70 s, as on the machine of docs/speed.md\n"
        "  pca         how long is not known\n"
        "Interrupt it at will: the same command goes on where it was.\n"
    )
    file = tmp_path / "kept" / "figures.jsonl"
    slow = [each.model_copy(update={"seconds": 300.0}) for each in kept(tmp_path)]
    kept_figures.write(file, slow)
    printed = main("--only", "als", "pca")
    assert [line.split()[:2] for line in printed.splitlines() if line.split()[:1] in (["als"], ["together"])] == [
        ["als", "300.0"],
        ["together", "600.0"],
    ]
    assert printed.rstrip().endswith(str(this_machine()))
    again = main("--only", "als", "pca", "--again")
    assert again.startswith("2 of 2 comparisons left, about 10.0 minutes\n")
    assert f"  pca         about 5.0 minutes, as on {slow[1].began:%Y-%m-%d}\n" in again


def test_a_duration_is_in_seconds_or_minutes() -> None:
    assert [duration(seconds) for seconds in (3.2, 119.0, 120.0)] == ["3 s", "119 s", "2.0 minutes"]


def test_a_damaged_file_is_told_with_the_remedy(main: Main, runs: Runs, tmp_path: Path) -> None:
    main("--only", "als")
    file = tmp_path / "kept" / "figures.jsonl"
    file.write_text(file.read_text().replace('"seconds"', '"second"'))
    for more in ((), ("--again",)):
        with pytest.raises(SystemExit, match=r"line 1 of .*figures\.jsonl .*remove that line, or the file"):
            main("--only", "als", *more)
    assert runs.asked == [ALS]


def test_without_a_folder_the_home_keeps_them(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "home"))
    speed.main(["--only", "als"])
    assert (tmp_path / "home" / "bench" / "figures.jsonl").exists()
    assert f"{ALS} has spoken" in capsys.readouterr().out
