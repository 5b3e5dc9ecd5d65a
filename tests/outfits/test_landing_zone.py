"""Outfits of both layouts become a table of a landing zone, which a source reads."""

import json
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from atelier.outfits.files import read_mango, read_polyvore_outfits
from atelier.outfits.landing_zone import to_landing_zone
from atelier.outfits.outfits import OutfitsError
from atelier.sources import open_source, read

DAY = date(2026, 3, 1)


def landing_zone(root: Path, articles: list[str]) -> Path:
    """A landing zone of some articles, in which one was bought."""
    bought = {"customer_id": ["c"], "article_id": articles[:1], "occurred_at": [pd.Timestamp(DAY)], "kind": "purchase"}
    tables = {
        "articles": pd.DataFrame({"article_id": articles, "name": "x", "in_stock": True}),
        "interactions": pd.DataFrame(bought),
    }
    for table, frame in tables.items():
        (root / table).mkdir(parents=True)
        frame.to_parquet(root / table / f"ds={DAY}.parquet")
    return root


def mango(folder: Path) -> pd.DataFrame:
    (folder / "product_data.csv").write_text("cod_modelo_color,des_filename\n1-01,a.jpg\n2-01,b.jpg\n")
    (folder / "outfit_data.csv").write_text("cod_outfit,cod_modelo_color\n7,2-01\n7,1-01\n7,2-01\n")
    return read_mango(folder).outfits


def polyvore(folder: Path) -> pd.DataFrame:
    items = [{"index": index, "name": "x", "categoryid": 3} for index in (2, 1)]
    (folder / "outfits.json").write_text(json.dumps([{"set_id": "s", "items": items}]))
    return read_polyvore_outfits(folder / "outfits.json")


@pytest.mark.parametrize(
    ("layout", "expected"), [(mango, [("7", "1-01"), ("7", "2-01")]), (polyvore, [("s", "s_1"), ("s", "s_2")])]
)
def test_a_source_reads_the_outfits_of_a_layout(
    tmp_path: Path, layout: object, expected: list[tuple[str, str]]
) -> None:
    assert callable(layout)
    outfits = layout(tmp_path)
    root = landing_zone(tmp_path / "zone", [article for _, article in expected])
    file = to_landing_zone(outfits, root, DAY)
    assert file == root / "outfits" / f"ds={DAY}.parquet"
    first = file.read_bytes()
    found = read(open_source("parquet", root), "outfits", DAY + timedelta(days=3))
    assert list(found[["outfit_id", "article_id"]].itertuples(index=False, name=None)) == expected
    to_landing_zone(outfits.iloc[::-1], root, DAY)
    assert file.read_bytes() == first
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    outfits = pd.DataFrame({"outfit_id": ["o"], "article_id": ["a"]})
    for given, root, message in (
        (outfits.drop(columns="article_id"), tmp_path, "article_id"),
        (outfits.head(0), tmp_path, "there is no outfit to write"),
        (outfits, tmp_path / "absent", "is no folder"),
    ):
        with pytest.raises(OutfitsError, match=message):
            to_landing_zone(given, root, DAY)
    assert not list(tmp_path.iterdir())
