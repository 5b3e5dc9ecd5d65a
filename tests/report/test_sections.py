"""What each section says, and the terminal's tables."""

import base64
import html
import io
import os
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from atelier.report.album import SIZE, Album, inline_picture
from atelier.report.attributes import attributes_section
from atelier.report.checks import checks_section
from atelier.report.diversity import diversity_section
from atelier.report.ingest import ingest_section
from atelier.report.leaderboard import leaderboard_section
from atelier.report.neighbours import neighbours_section
from atelier.report.parts import count_text, figure_text, interval_text, p_text, percent_text
from atelier.report.text import attribute_text, leaderboard_text, values_text


def text(markup: str) -> str:
    """What a reader sees, blanks joined."""
    bare = re.sub(r"<[^>]*>", " ", re.sub(r"<svg.*?</svg>", "", markup, flags=re.DOTALL))
    return re.sub(r"\s+", " ", html.unescape(bare))


def metrics(rows: list[tuple[str, str, str, int, str, float | None, float | None, int]]) -> pd.DataFrame:
    table = pd.DataFrame(
        rows, columns=["model", "seen", "metric", "k", "segment", "value", "standard_error", "customers"]
    )
    return table.astype({"value": "Float64", "standard_error": "Float64"})


JUDGED = metrics(
    [
        (model, seen, metric, k, "all", value + (seen == "allowed") * 0.01, 0.001, 250)
        for model, value in (("als", 0.05), ("popular", 0.02))
        for seen in ("allowed", "excluded")
        for metric in ("precision", "recall", "hit_rate", "ndcg", "map", "mrr")
        for k in (10, 12)
    ]
)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.012345, "0.0123"),
        (-0.5, "−0.5000"),
        (12.3456, "12.346"),
        (98765.4, "98,765"),
        (0, "0.0000"),
        (None, "–"),
        (pd.NA, "–"),
        (np.nan, "–"),
    ],
)
def test_numbers(value: object, shown: str) -> None:
    assert figure_text(value) == shown


def test_other_numbers() -> None:
    assert interval_text(0.05, 0.001) == "0.0500 ± 0.0020"
    assert interval_text(0.05, pd.NA) == "0.0500"
    assert (count_text(1234567.0), count_text(pd.NA)) == ("1,234,567", "–")
    assert (percent_text(0.1234), percent_text(None)) == ("12.3%", "–")
    assert (p_text(0.0004), p_text(0.0123), p_text(np.nan)) == ("< 0.001", "0.012", "–")


def test_leaderboard_orders_models_and_names_both_evaluations() -> None:
    shown = text(leaderboard_section(JUDGED, truth_kinds=("purchase",), period="made on 2024-02-01").html)
    assert "Lists made on 2024-02-01." in shown
    assert "save, bag and purchase" in shown
    assert shown.index("Seen articles excluded") < shown.index("Seen articles allowed")
    assert shown.index("als 0.0500 ± 0.0020") < shown.index("popular 0.0200 ± 0.0020")
    assert "als 0.0600 ± 0.0020" in shown
    assert "mean little" not in shown
    assert "No two models have been compared" in shown


def test_leaderboard_warns_of_few_customers() -> None:
    assert "Only 199 customers" in text(leaderboard_section(JUDGED.assign(customers=199)).html)


def test_leaderboard_takes_the_nearest_length() -> None:
    assert "precision@12" in text(leaderboard_section(JUDGED, k=100).html)


def test_comparisons_say_who_is_better() -> None:
    columns = [
        "seen",
        "metric",
        "k",
        "model",
        "baseline",
        "difference",
        "standard_error",
        "p_value",
        "p_holm",
        "customers",
    ]
    rows = [
        ("excluded", "precision", 10, "als", "popular", 0.03, 0.001, 1e-9, 1e-8, 240),
        ("allowed", "precision", 10, "als", "popular", -0.03, 0.001, 1e-9, 1e-8, 240),
        ("excluded", "precision", 10, "hybrid", "als", 0.001, 0.001, 0.2, 0.2, 240),
        ("excluded", "precision", 10, "twin", "als", 0.0, 0.0, None, None, 240),
    ]
    comparisons = pd.DataFrame(rows, columns=columns).astype({"p_value": "Float64", "p_holm": "Float64"})
    shown = text(leaderboard_section(JUDGED, comparisons).html)
    assert "als − popular seen excluded 0.0300 ± 0.0020 < 0.001 240 als is better" in shown
    assert "als − popular seen allowed −0.0300 ± 0.0020 < 0.001 240 popular is better" in shown
    assert "0.200 240 no difference shown" in shown
    assert "– 240 no difference shown" in shown


def test_values_from_a_parquet_file_show_the_same() -> None:
    """A table read back has plain floats with nan, or Arrow types: nothing may change."""
    buffer = io.BytesIO()
    JUDGED.to_parquet(buffer)
    for engine in ("numpy_nullable", "pyarrow"):
        read = pd.read_parquet(buffer, dtype_backend=engine)
        assert leaderboard_section(read).html == leaderboard_section(JUDGED).html
        assert diversity_section(read).html == diversity_section(JUDGED).html
    plain = JUDGED.astype({"value": "float64", "standard_error": "float64"})
    assert leaderboard_section(plain).html == leaderboard_section(JUDGED).html


def test_a_model_with_one_evaluation_only() -> None:
    table = JUDGED[(JUDGED["model"] == "als") | (JUDGED["seen"] == "excluded")]
    shown = text(leaderboard_section(table).html)
    assert shown.count("popular 0.0200 ± 0.0020") == 1
    assert leaderboard_text(table).count("popular") == 1


def test_checks_put_failures_first_and_fold_what_passed() -> None:
    checks = pd.DataFrame(
        {
            "table": ["a", "b", "c"],
            "check": ["x", "y", "z"],
            "success": [True, False, False],
            "blocking": [True, False, True],
        }
    )
    shown = text(checks_section(checks).html)
    assert "1 failed, 1 warned, 1 passed" in shown
    assert shown.index("c z failed") < shown.index("b y warning") < shown.index("The 1 checks that passed")
    assert "All 1 checks passed" in text(checks_section(checks.iloc[:1]).html)


def test_ingest_says_where_counts_do_not_add_up() -> None:
    counts = pd.DataFrame({"table": ["a", "b"], "rows_in": [5, 5], "rows_stored": [4, 4], "rows_rejected": [1, 0]})
    counts["values_dropped"] = 0
    shown = text(ingest_section(counts, days_without_rows={"interactions": ["2024-01-03"], "views": range(99)}).html)
    assert "The counts of b do not add up" in shown
    assert "The counts of a" not in shown
    assert "No interactions on 2024-01-03." in shown
    assert "No views on 99 days: 0, 1, 2" in shown


def test_ingest_counts_reasons() -> None:
    counts = pd.DataFrame({"table": ["a"], "rows_in": [5], "rows_stored": [2], "rows_rejected": [3]})
    counts["values_dropped"] = 0
    rejected = pd.DataFrame(
        {
            "source_table": "a",
            "source_file": ["f", "e", "e"],
            "row": [1, 9, 2],
            "column_name": "price",
            "reason": ["null", "negative", "negative"],
            "row_kept": [False, True, True],
        }
    )
    shown = text(ingest_section(counts, rejected).html)
    assert shown.index("a price negative e, row 2 stored without the value 2") < shown.index(
        "a price null f, row 1 not stored 1"
    )


def attribute_metrics(f1: float, samples: int) -> pd.DataFrame:
    figures = {"samples": samples, "classes": 3, "accuracy": 0.5, "weighted_f1": f1, "majority_weighted_f1": 0.4}
    return pd.DataFrame(
        [("m", "neckline", m, v) for m, v in figures.items()], columns=["model_id", "attribute", "metric", "value"]
    )


@pytest.mark.parametrize(
    ("f1", "samples", "verdict"), [(0.5, 100, "yes"), (0.3, 100, "no"), (0.3, 99, "no, few samples")]
)
def test_attributes_are_held_against_the_majority(f1: float, samples: int, verdict: str) -> None:
    shown = text(attributes_section(attribute_metrics(f1, samples)).html)
    assert f"neckline {samples} 3 0.500 – {f1:.3f} 0.400 {verdict} " in shown


def test_attributes_tell_how_sure_the_model_is() -> None:
    figures = {
        "accuracy": 0.5,
        "expected_calibration_error_raw": 0.25,
        "expected_calibration_error": 0.125,
        "coverage": 0.9,
        "set_size": 2.5,
        "abstained": 0.75,
        "calibration_samples": 12,
        "reliability_labels_03": 30,
        "reliability_confidence_03": 0.2,
        "reliability_accuracy_03": 0.3,
        "reliability_labels_15": 10,
        "reliability_confidence_15": 0.95,
        "reliability_accuracy_15": 0.75,
    }
    mean = pd.DataFrame({"model_id": "m", "attribute": "mean", "metric": figures.keys(), "value": figures.values()})
    shown = text(attributes_section(pd.concat([attribute_metrics(0.5, 100), mean])).html)
    assert "mean 0.250 0.125 90.0% 2.50 75.0% 12 " in shown
    assert "40 held-out labels" in shown
    assert "expected calibration error 0.125" in shown  # (30 · 0.1 + 10 · 0.2) / 40
    assert "How sure" not in text(attributes_section(attribute_metrics(0.5, 100)).html), "where nothing was calibrated"


def test_attribute_text_is_aligned() -> None:
    table = pd.concat([attribute_metrics(0.5, 100), attribute_metrics(0.5, 2000).assign(attribute="sleeve\nlength")])
    lines = attribute_text(table).splitlines()
    assert len(lines) == 4
    assert len(set(map(len, lines))) == 1
    assert lines[2].startswith("sleeve?length    2,000")  # most samples first; a line break cannot break the table
    assert attribute_text(table.iloc[:0]) == "No attribute model has been judged yet."


def test_the_share_abstained_stands_in_the_terminal() -> None:
    abstained = attribute_metrics(0.5, 100).iloc[:1].assign(metric="abstained", value=0.875)
    lines = attribute_text(pd.concat([attribute_metrics(0.5, 100), abstained])).splitlines()
    assert lines[0].endswith("  abstained")
    assert lines[2].endswith("  87.5%")
    counts = pd.DataFrame({"annotated": [1000, 500], "predicted": [1, 2], "abstained": [10, 7]})
    assert values_text(counts) == (
        "Of 1,520 values 1,500 are annotated, 3 predicted and 17 abstained: 85.0% of those that nobody annotated are "
        "only the most probable of several."
    )
    assert "abstained: none of those" in values_text(counts.assign(predicted=0, abstained=0))


def test_leaderboard_text() -> None:
    shown = leaderboard_text(JUDGED)
    lines = shown.splitlines()
    assert lines[0].startswith("Seen articles excluded")
    assert lines[3].startswith("als      0.0500 ± 0.0020")
    assert lines[4].startswith("popular  0.0200 ± 0.0020")
    assert lines[3].endswith("250")
    assert leaderboard_text(JUDGED.iloc[:0]) == "No recommendations have been judged yet."


def test_neighbours_shown_are_spread_and_asked_for() -> None:
    ids = [f"a{i}" for i in range(9)]
    similar = pd.DataFrame(
        [("als", a, rank, f"n{rank}", 1 - rank / 10) for a in ids for rank in (2, 1, 3)],
        columns=["model", "article_id", "rank", "similar_article_id", "similarity"],
    )
    shown = text(neighbours_section(similar, count=3, neighbours=2).html)
    assert [a for a in ids if f" {a} " in shown] == ["a0", "a4", "a8"]
    assert "n3" not in shown
    assert shown.index("cosine 0.90") < shown.index("cosine 0.80")
    assert " a7 " in text(neighbours_section(similar, shown=["a7"]).html)


def test_photographs_are_made_small_whatever_they_are(tmp_path: Path) -> None:
    Image.new("RGBA", (600, 100), (1, 2, 3, 4)).save(tmp_path / "a.png")
    Image.new("L", (4000, 6000)).save(tmp_path / "b.jpg")
    (tmp_path / "c.jpg").write_text("no image")
    for name in ("a.png", "b.jpg"):
        uri = inline_picture(tmp_path / name)
        assert uri is not None

        with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as image:
            assert image.mode == "RGB"
            assert all(side <= limit for side, limit in zip(image.size, SIZE, strict=True))
    assert inline_picture(tmp_path / "c.jpg") is None
    assert inline_picture(tmp_path / "absent.jpg") is None
    assert inline_picture(None) is None


def test_a_decompression_bomb_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (300, 300)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert inline_picture(tmp_path / "bomb.png") is None


def header_of(width: int, height: int) -> bytes:
    """A PNG whose header promises so many pixels, and that holds none."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


def test_hostile_photographs_are_shown_as_missing(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    for path in (inside / "good.jpg", outside / "secret.jpg"):
        Image.effect_noise((300, 400), 50).save(path)
    data = (inside / "good.jpg").read_bytes()
    (inside / "truncated.jpg").write_bytes(data[: len(data) // 2])
    (inside / "bomb.png").write_bytes(header_of(50_000, 50_000))
    Image.new("RGB", (30, 30)).save(inside / "rare.tiff")  # a decoder that we never try
    (inside / "link.jpg").symlink_to(outside / "secret.jpg")
    (inside / "within.jpg").symlink_to(inside / "good.jpg")
    os.mkfifo(inside / "pipe.jpg")  # opening it would wait for ever
    shown = {"good.jpg", "within.jpg"}
    refused = {
        "truncated.jpg",
        "bomb.png",
        "rare.tiff",
        "link.jpg",
        "pipe.jpg",
        "../outside/secret.jpg",
        str(outside / "secret.jpg"),
    }
    for root, base in ((inside, Path()), (inside, inside)):  # relative to the root, and from anywhere
        assert {name for name in shown | refused if inline_picture(base / name, root)} == shown
    assert inline_picture(inside / "link.jpg") is not None  # without a root a link may lead anywhere


def test_the_section_shows_only_photographs_within_the_root(tmp_path: Path) -> None:
    similar = pd.DataFrame(
        [("als", "a", 1, "b", 0.5)], columns=["model", "article_id", "rank", "similar_article_id", "similarity"]
    )
    (tmp_path / "shop").mkdir()
    Image.new("RGB", (30, 40)).save(tmp_path / "shop" / "a.jpg")
    Image.new("RGB", (30, 40)).save(tmp_path / "b.jpg")
    photographs = {"a": tmp_path / "shop" / "a.jpg", "b": tmp_path / "b.jpg"}
    assert neighbours_section(similar, Album(None, photographs)).html.count("<img") == 2
    confined = neighbours_section(similar, Album(None, photographs, tmp_path / "shop")).html
    assert confined.count("<img") == 1
    assert "article a" in confined
    assert confined.count("no photograph") == 1
