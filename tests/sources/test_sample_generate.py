"""The landing zone as a whole: complete, repeatable, consistent, and readable by the Parquet source."""

import hashlib
import json
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from atelier.sources.sample import SampleConfig, generate, is_complete

CONFIG = SampleConfig(articles=150, customers=200, days=24, seed=2, image_size=48, sessions_per_customer=0.2)
SNAPSHOTS = ("articles", "annotated_attributes", "images", "outfits", "customers")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "retailer"
    generate(folder, CONFIG)
    return folder


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _as_of(root: Path, table: str, day: date) -> pd.DataFrame:
    """What a snapshot table holds on a day: the last file up to it."""
    files = [file for file in (root / table).glob("ds=*.parquet") if date.fromisoformat(file.stem[3:]) <= day]
    return pd.read_parquet(max(files))


def test_the_same_configuration_gives_the_same_bytes(root: Path, tmp_path: Path) -> None:
    generate(tmp_path / "again", CONFIG)
    assert _digests(tmp_path / "again") == _digests(root)


def test_another_seed_gives_another_retailer(root: Path, tmp_path: Path) -> None:
    generate(tmp_path / "other", CONFIG.model_copy(update={"seed": 3, "photographs": False}))
    mine, other = _digests(root), _digests(tmp_path / "other")
    shared = [name for name in mine if name in other and name.startswith(("articles", "interactions", "truth"))]
    assert shared
    assert all(mine[name] != other[name] for name in shared)


def test_nothing_is_done_twice_and_half_a_retailer_is_made_anew(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"photographs": False, "days": 8})
    generate(tmp_path, config)
    whole = _digests(tmp_path)
    marker = next((tmp_path / "interactions").iterdir())
    before = marker.stat().st_mtime_ns
    generate(tmp_path, config)
    assert marker.stat().st_mtime_ns == before
    (tmp_path / "retailer.json").unlink()
    marker.write_bytes(b"half a file")
    (tmp_path / "articles" / "ds=1999-01-01.parquet").write_bytes(b"left over")
    assert not is_complete(tmp_path)
    generate(tmp_path, config)
    assert _digests(tmp_path) == whole


def test_another_configuration_replaces_the_retailer(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"photographs": False, "days": 8})
    generate(tmp_path, config)
    assert is_complete(tmp_path, config)
    longer = config.model_copy(update={"days": 5})
    assert not is_complete(tmp_path, longer)
    generate(tmp_path, longer)
    assert len(list((tmp_path / "interactions").iterdir())) == 5


def test_a_strangers_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match=r"thesis\.txt"):
        generate(tmp_path, CONFIG)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_the_manifest_says_what_there_is(root: Path) -> None:
    manifest = json.loads((root / "retailer.json").read_text())
    assert manifest["first_day"] == "2025-03-03"
    assert manifest["last_day"] == "2025-03-26"
    days = [file.stem[3:] for file in sorted((root / "interactions").iterdir())]
    assert days == [(CONFIG.first_day + timedelta(days=d)).isoformat() for d in range(CONFIG.days)]
    for table in SNAPSHOTS:
        assert (root / table / f"ds={manifest['first_day']}.parquet").exists()


def test_every_day_is_consistent(root: Path) -> None:
    """On each day: known customers, known articles on sale and in stock at the stated price; keys are unique."""
    for number in range(CONFIG.days):
        day = CONFIG.first_day + timedelta(days=number)
        articles = _as_of(root, "articles", day).set_index("article_id")
        assert articles.index.is_unique
        assert (articles["available_from"] <= day).all()
        over = articles["available_until"].notna()
        assert (articles["available_until"][over] < day).all()
        assert (articles["in_stock"] == ~over).all()
        events = pd.read_parquet(root / "interactions" / f"ds={day}.parquet")
        assert set(events["customer_id"]) <= set(_as_of(root, "customers", day)["customer_id"])
        touched = articles.loc[events["article_id"]]
        assert touched["in_stock"].all()
        assert (touched["price"].to_numpy() == events["price"].to_numpy()).all()
        for table, key in (("annotated_attributes", ["article_id", "attribute"]), ("images", ["article_id", "shot"])):
            rows = _as_of(root, table, day)
            assert not rows.duplicated(key).any()
            assert set(rows["article_id"]) <= set(articles.index)


def test_the_shop_changes(root: Path) -> None:
    first = _as_of(root, "articles", CONFIG.first_day)
    last = _as_of(root, "articles", CONFIG.last_day)
    assert len(last) > len(first)
    assert not last["in_stock"].all()
    assert len(_as_of(root, "customers", CONFIG.last_day)) > len(_as_of(root, "customers", CONFIG.first_day))


def test_photographs_are_there_and_are_images(root: Path) -> None:
    listing = _as_of(root, "images", CONFIG.last_day)
    shots = listing.groupby("article_id")["shot"].agg(["min", "max", "size"])
    assert (shots["min"] == 0).all()
    assert (shots["max"] + 1 == shots["size"]).all()
    assert set(shots["size"]) == {1, 2, 3, 4}
    for path in listing["path"].head(40):
        with Image.open(root / "photographs" / path) as image:
            assert image.size == (48, 48)
            assert image.mode == "RGB"
            image.load()


def test_outfits_go_together(root: Path) -> None:
    outfits = _as_of(root, "outfits", CONFIG.last_day)
    sizes = outfits.groupby("outfit_id").size()
    assert len(sizes) > 20
    assert sizes.between(3, 5).all() or sizes.between(3, 6).all()
    assert not outfits.duplicated(["outfit_id", "article_id"]).any()
    types = _as_of(root, "articles", CONFIG.last_day).set_index("article_id")["product_type"]
    assert set(types[outfits.loc[outfits["role"] == "shoes", "article_id"]]) <= {"Shoes", "Boots"}
    truth = pd.read_parquet(root / "truth" / "attributes.parquet")
    occasion = truth[truth["attribute"] == "occasion"].set_index("article_id")["value"]
    worn = outfits.assign(occasion=outfits["article_id"].map(occasion).astype(str))
    pairs = worn.merge(worn, on="outfit_id").query("article_id_x < article_id_y")
    together = (pairs["occasion_x"] == pairs["occasion_y"]).mean()
    chance = (worn["occasion"].value_counts(normalize=True) ** 2).sum()
    assert together > chance + 0.1


def test_the_parquet_source_accepts_every_row(root: Path) -> None:
    """What the generator writes is clean: the reader of landing zones rejects nothing."""
    from atelier.sources import open_source

    source = open_source("sample", root)
    assert (source.first_day, source.last_day) == (CONFIG.first_day, CONFIG.last_day)
    days = [CONFIG.first_day + timedelta(days=number) for number in range(CONFIG.days)]
    for table in (*SNAPSHOTS, "interactions"):
        landed = list(source.land(table, days))
        assert [day for day, _ in landed] == days
        for _, rows in landed:
            assert rows.rejected.num_rows == 0
            assert rows.accepted.num_rows == rows.rows_in > 0
