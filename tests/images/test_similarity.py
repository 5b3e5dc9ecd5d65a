"""Articles that look alike: shots combined, filters exact and in the index, photographs from outside, the files."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from atelier.articles.image_vectors import ImageVectors
from atelier.errors import BundleError, UnknownIdentifier
from atelier.images.similarity import ExactImages, Filters, ImageIndex, ImageIndexConfig, OtherEncoderError, combined

#: Directions in a plane, in degrees, of the photographs of each article.
ANGLES = {"a": [0], "b": [10], "c": [20, 40], "d": [90], "e": [], "f": [5]}


def direction(degrees: float) -> list[float]:
    return [float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))]


def shop(**changes: Any) -> pd.DataFrame:
    """Six articles, e without a photograph, in an order that is not that of their ids."""
    frame = pd.DataFrame(
        {
            "article_id": list(ANGLES),
            "product_type": ["dress", "dress", "dress", "shoe", "dress", None],
            "product_code": ["s1", "s1", "s2", "s3", "s4", "s5"],
            "price": [10.0, 12.0, 40.0, 10.0, 10.0, None],
            "in_stock": [True, True, True, True, True, True],
            "embeddings": [[direction(each) for each in angles] for angles in ANGLES.values()],
        }
    ).assign(**changes)
    return frame.sample(frac=1, random_state=1)


def neighbours(compared: ExactImages | ImageIndex, article: str, **filters: Any) -> list[str]:
    return compared.similar([article], 9, Filters(**filters))["similar_article_id"].tolist()


@pytest.fixture(params=["exact", "annoy"])
def compared(request: pytest.FixtureRequest) -> ExactImages | ImageIndex:
    exact = ExactImages.build(shop(), centred=False)
    return exact if request.param == "exact" else ImageIndex.build(exact, "encoder")


def test_shots_are_combined_as_directions_whatever_their_length() -> None:
    shots = np.array([direction(20), direction(40)], np.float32) * np.array([[100], [1]], np.float32)
    found = combined(ImageVectors(shots, np.array([2, 0])), np.zeros(2, np.float32))
    assert found.tolist() == [pytest.approx(direction(30), abs=1e-6)]


def test_the_centre_is_the_mean_of_all_photographs() -> None:
    exact = ExactImages.build(shop())
    every = [direction(each) for angles in ANGLES.values() for each in angles]
    assert exact.centre == pytest.approx(np.mean(every, axis=0), abs=1e-6)
    plain = ExactImages.build(shop(), centred=False)
    assert not plain.centre.any()
    assert exact.similar(["d"])["similarity"].max() < plain.similar(["d"])["similarity"].max()


def test_the_most_alike_come_first_with_their_cosines(compared: ExactImages | ImageIndex) -> None:
    near = compared.similar(["a"], 9)
    assert near["similar_article_id"].tolist() == ["f", "b", "c", "d"]
    assert near["rank"].tolist() == [1, 2, 3, 4]
    assert near["similarity"].to_numpy() == pytest.approx(np.cos(np.radians([5, 10, 30, 90])), abs=1e-3)
    assert compared.similar(["a"], 2)["similar_article_id"].tolist() == ["f", "b"]


def test_each_filter_leaves_out_what_it_names(compared: ExactImages | ImageIndex) -> None:
    assert neighbours(compared, "a", same_type=True) == ["b", "c"]
    assert neighbours(compared, "a", other_style=True) == ["f", "c", "d"]
    assert neighbours(compared, "a", price_range=(0.5, 2)) == ["b", "d"], "the price of f is not known"
    assert neighbours(compared, "a", same_type=True, other_style=True, price_range=(0.5, 2)) == []
    assert neighbours(compared, "f", same_type=True) == [], "its type is not known"
    assert neighbours(compared, "f", price_range=(0, 100)) == [], "its price is not known"
    assert neighbours(compared, "e") == [], "it has no photograph"


def test_what_is_out_of_stock_is_asked_for_but_not_returned() -> None:
    exact = ExactImages.build(shop(in_stock=[True, False, True, True, True, True]))
    assert "b" not in neighbours(exact, "a")
    assert "b" in neighbours(exact, "a", in_stock=False)
    assert neighbours(exact, "b")


def test_all_articles_with_a_photograph_are_compared_by_default(compared: ExactImages | ImageIndex) -> None:
    assert set(compared.similar()["article_id"]) == set("abcdf")
    with pytest.raises(UnknownIdentifier, match="nobody"):
        compared.similar(["nobody"])
    with pytest.raises(ValueError, match="at least 1"):
        compared.similar(["a"], 0)


def test_a_photograph_from_outside_is_looked_up(compared: ExactImages | ImageIndex) -> None:
    shot = np.array([direction(12)], np.float32) * 7
    near = compared.like(shot, 9)
    assert near["article_id"].tolist() == ["b", "f", "a", "c", "d"]
    assert near["similarity"].iloc[0] == pytest.approx(np.cos(np.radians(2)), abs=1e-3)
    assert compared.like(shot, 9, product_type="shoe")["article_id"].tolist() == ["d"]
    assert compared.like(shot, 9, price=(11, 50))["article_id"].tolist() == ["b", "c"]
    assert compared.like(shot, 9, price=(1000, 2000)).empty
    with pytest.raises(UnknownIdentifier, match="product type 'hat'; there are 'dress', 'shoe'"):
        compared.like(shot, product_type="hat")
    with pytest.raises(OtherEncoderError, match="3 values, those of the articles 2"):
        compared.like(np.ones((1, 3), np.float32))


@given(seed=st.integers(0, 10_000), n=st.integers(1, 40), same=st.booleans(), other=st.booleans())
def test_exact_search_is_the_sorted_list_of_cosines(seed: int, n: int, same: bool, other: bool) -> None:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"article_id": [f"{i:03}" for i in range(n)]}).assign(
        product_type=rng.choice(["x", "y"], n),
        product_code=rng.choice(["1", "2", "3"], n),
        price=rng.uniform(1, 9, n).round(2),
        in_stock=rng.random(n) < 0.7,
        embeddings=list(rng.normal(size=(n, 2, 5)).astype(np.float32)),
    )
    exact = ExactImages.build(frame)
    near = exact.similar(k=3, filters=Filters(same_type=same, other_style=other, price_range=(0.5, 1.5)))
    cosines = exact.vectors.astype(np.float64) @ exact.vectors.T.astype(np.float64)
    type_, style, price = (frame[name].to_numpy() for name in ("product_type", "product_code", "price"))
    allowed = frame["in_stock"].to_numpy()[None, :] & ~np.eye(n, dtype=bool)
    allowed = allowed & (~same | (type_[:, None] == type_)) & (~other | (style[:, None] != style))
    allowed &= (price >= 0.5 * price[:, None]) & (price <= 1.5 * price[:, None])
    for row in range(n):
        wanted = np.sort(np.where(allowed[row], cosines[row], -np.inf))[::-1][: min(3, allowed[row].sum())]
        found = near[near["article_id"] == f"{row:03}"]
        assert found["similarity"].to_numpy() == pytest.approx(wanted, abs=1e-5)
        assert allowed[row][found["similar_article_id"].astype(int)].all()


def test_the_index_is_read_back_and_its_bytes_repeat(tmp_path: Path) -> None:
    exact = ExactImages.build(shop())
    filters = Filters(same_type=True)
    for name in ("one", "two"):
        ImageIndex.build(exact, "net-0123", ImageIndexConfig(trees=3), filters).save(tmp_path / name)
    files = [sorted(each for each in (tmp_path / name).rglob("*") if each.is_file()) for name in ("one", "two")]
    assert [each.read_bytes() for each in files[0]] == [each.read_bytes() for each in files[1]]
    loaded = ImageIndex.load(tmp_path / "one")
    assert (loaded.encoder_id, loaded.filters) == ("net-0123", filters)
    assert loaded.similar(["a", "c"], 3).equals(ImageIndex.build(exact, "net-0123").similar(["a", "c"], 3))
    (tmp_path / "one" / "articles.parquet").write_bytes(b"PAR1")
    with pytest.raises(BundleError, match="run image_similarity again"):
        ImageIndex.load(tmp_path / "one")


def test_a_shop_without_any_photograph_has_an_empty_index(tmp_path: Path) -> None:
    exact = ExactImages.build(shop().drop(columns="embeddings"))
    assert exact.similar().empty
    ImageIndex.build(exact, "").save(tmp_path)
    assert ImageIndex.load(tmp_path).similar(["a"]).empty


def test_a_price_range_has_to_rise() -> None:
    with pytest.raises(ValidationError, match="the lower one first"):
        Filters(price_range=(2, 1))
