"""Both layouts of outfit files become tables of figures, on tiny files whose rule is a shared colour word."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.outfit_files import POLYVORE, main

COLOURS, KINDS = ("red", "blue", "green", "white"), ("dress", "shoe", "bag")


def outfits(first: int, count: int) -> list[dict[str, object]]:
    """Outfits of one article of each kind, all of a colour."""
    return [
        {
            "set_id": str(number),
            "items": [
                {"index": index, "name": f"{COLOURS[number % 4]} {kind}", "categoryid": index}
                for index, kind in enumerate(KINDS, start=1)
            ],
        }
        for number in range(first, first + count)
    ]


@pytest.fixture
def polyvore(tmp_path: Path) -> Path:
    """Questions and lines whose wrong answers are bags of the other colours: the category says nothing."""
    parts = {"train": outfits(0, 160), "validation": outfits(1000, 24), "test": outfits(2000, 24)}
    for part, rows in parts.items():
        (tmp_path / POLYVORE[part]).write_text(json.dumps(rows))
    questions, lines = [], []
    for number in range(2000, 2020):
        given = [f"{number}_1", f"{number}_2"]
        answers = [f"{number + other}_3" for other in (1, 2, 0, 3)]
        questions.append({"question": given, "answers": answers, "blank_position": 3})
        lines += [f"1 {' '.join(given)} {number}_3", f"0 {' '.join(given)} {answers[0]}", f"0 {given[0]} {answers[1]}"]
    (tmp_path / POLYVORE["questions"]).write_text(json.dumps(questions))
    (tmp_path / POLYVORE["lines"]).write_text("\n".join(lines))
    return tmp_path


def row(printed: str, name: str) -> list[str]:
    (found,) = [line for line in printed.splitlines() if line.startswith(f"| {name} ")]
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_given_questions_and_outfits_are_answered_beside_the_controls(
    polyvore: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--polyvore", str(polyvore), "--epochs", "20"])
    printed = capsys.readouterr().out
    header = row(printed, "questions")
    for name in ("given questions", "given outfits"):
        cells = dict(zip(header, row(printed, name), strict=True))
        assert cells["asked"] == "20"
        assert float(cells["model"].split()[0]) > 0.9
        assert re.fullmatch(r"-?\d\.\d{3} \[.+\]", cells["gain"])
        for control in ("frequency", "category co-occurrence", "lift"):  # no article is in two outfits
            assert float(cells[control]) <= 0.6


@pytest.mark.parametrize(
    ("part", "text", "message"),
    [
        ("questions", "[]", "has no questions"),
        ("lines", "1 2000_1 2000_2\n", "1 real outfits and 0 others"),
        ("lines", "1 2000_1 9_9\n0 2000_1 2000_2\n", "9_9"),
        ("test", json.dumps(outfits(0, 1)), "0_1 is in two files"),
        ("validation", None, "does not exist"),
    ],
)
def test_what_is_wrong_with_the_files_is_one_line(polyvore: Path, part: str, text: str | None, message: str) -> None:
    file = polyvore / POLYVORE[part]
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    with pytest.raises(SystemExit, match=f"error: .*{message}"):
        main(["--polyvore", str(polyvore), "--epochs", "1"])


def test_mangos_layout_is_asked_about_by_drawn_questions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    codes = [f"{kind}-{number:02}" for kind in KINDS for number in range(20)]
    products = pd.DataFrame({"cod_modelo_color": codes, "des_filename": ""})
    products["des_product_family"] = [code.split("-")[0] for code in codes]
    products["des_shade"] = [f"s{number % 2}" for _ in KINDS for number in range(20)]
    products.to_csv(tmp_path / "product_data.csv", index=False)
    drawn = 2 * random.integers(10, size=(150, len(KINDS))) + np.arange(150)[:, None] % 2
    rows = [
        (outfit, f"{kind}-{number:02}")
        for outfit, members in enumerate(drawn)
        for kind, number in zip(KINDS, members, strict=True)
    ]
    pd.DataFrame(rows, columns=["cod_outfit", "cod_modelo_color"]).to_csv(tmp_path / "outfit_data.csv", index=False)
    main(["--mango", str(tmp_path), "--epochs", "15"])
    printed = capsys.readouterr().out
    for name in ("uniform", "popularity-matched", "popularity-matched, trained on", "AUC"):
        assert float(row(printed, name)[3].split()[0]) > 0.3  # half of the wrong answers have the right shade
