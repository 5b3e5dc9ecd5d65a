"""The measurements of a GPU: that they run, on a processor in small sizes, what is kept, what is told without a GPU."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks import gpu, training_limits
from benchmarks.gpu import Bench, Figure
from benchmarks.kept_figures import read

SMALL = ("--device=cpu", "--small", "--plain")


@pytest.fixture
def one_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """One training, of one epoch."""
    monkeypatch.setattr(training_limits, "FITS", {"hybrid": ("hybrid", {"max_epochs": 1})})


@pytest.mark.usefixtures("one_fit")
def test_everything_is_measured_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plot = tmp_path / "plot.svg"
    gpu.main([str(tmp_path / "kept"), *SMALL, "--plot", str(plot)])
    printed = capsys.readouterr().out
    assert "3 measurements to do" in printed
    rows = read(tmp_path / "kept" / "figures.jsonl", Figure)
    assert [row.what.split(":")[0].split(",")[0] for row in rows] == [*["mobilenet_v2"] * 4, "hybrid", rows[-1].what]
    assert all(row.value > 0 for row in rows)
    network, decoding, whole, night = rows[:4]
    assert night.what.endswith("a night's defaults")
    assert night.limit == whole.limit
    assert whole.limit == min(network.value, decoding.value)
    assert whole.goal == whole.limit / 2
    cosine = float(whole.said.split("≥ ")[1].split(",")[0])
    assert cosine > 0.99
    assert all(row.what in printed for row in rows)
    assert plot.read_text(encoding="utf-8").startswith("<svg")
    gpu.main([str(tmp_path / "kept"), *SMALL])
    assert "0 measurements to do" in capsys.readouterr().out
    assert read(tmp_path / "kept" / "figures.jsonl", Figure) == rows


@pytest.mark.usefixtures("one_fit")
def test_what_was_measured_elsewhere_or_in_other_sizes_is_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(torch.device("cpu"), gpu.SMALL, compiled=False)

    def tasks(self: Bench, only: list[str]) -> dict[str, Callable[[], list[Figure]]]:
        return {"lists": lambda: [self.figure("lists", "lists of all", 7.0, "lists/s")]}

    monkeypatch.setattr(Bench, "tasks", tasks)
    file = tmp_path / "figures.jsonl"
    own = bench.figure("lists", "lists of all", 5.0, "lists/s")
    others = [own.model_copy(update={"device": "another"}), own.model_copy(update={"sizes": "larger"})]
    file.write_text("".join(f"{row.model_dump_json()}\n" for row in others), encoding="utf-8")
    assert [row.value for row in gpu.measured(bench, ["lists"], file)] == [7.0]
    assert [row.value for row in gpu.measured(bench, ["lists"], file)] == [7.0]
    assert len(read(file, Figure)) == 3


def test_without_a_gpu_the_way_on_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match=r"no CUDA device.*--device cpu --small"):
        gpu.main([str(tmp_path)])


def test_a_damaged_file_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "figures.jsonl").write_text("{}\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"line 1 of .*figures\.jsonl .*remove that line, or the file"):
        gpu.main([str(tmp_path), *SMALL])
