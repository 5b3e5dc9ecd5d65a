"""The daily job on a week of H&M: the home that is made, and that both runs are told."""

from pathlib import Path

import pytest

from benchmarks import hm_week_night
from benchmarks.full_size import Attempt, Stage
from benchmarks.full_size_figures import WHOLE, Row
from benchmarks.full_size_job import home_in


def test_the_week_is_ingested_and_its_last_day_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[Stage] = []

    def run(folder: Path, stage: Stage, share: float, epochs: int | None) -> None:
        ran.append(stage)
        Attempt(share, stage.name, 0.0, 2.0, 1, 0.5, epochs, {}).save(folder / "running.json")

    def collect(_: Path, attempt: Attempt, *, complete: bool) -> list[Row]:
        return [
            Row(share=attempt.share, stage=attempt.stage, step=WHOLE, wall=2.0, load=attempt.load, complete=complete)
        ]

    monkeypatch.setattr(hm_week_night, "run", run)
    monkeypatch.setattr(hm_week_night, "collect", collect)
    hm_week_night.main([str(tmp_path / "data"), str(tmp_path / "work")])
    assert [(stage.job, str(stage.first), str(stage.last)) for stage in ran] == [
        ("ingest", "2020-09-16", "2020-09-21"),
        ("daily_retrain", "2020-09-22", "None"),
    ]
    settings = home_in(tmp_path / "work").settings
    assert (settings.source, str(settings.first_day), str(settings.last_day)) == ("hm", "2020-09-16", "2020-09-22")
    printed = capsys.readouterr().out
    assert "## ingest" in printed
    assert "## night" in printed
    with pytest.raises(FileExistsError):
        hm_week_night.make_home(tmp_path / "data", tmp_path / "work")
