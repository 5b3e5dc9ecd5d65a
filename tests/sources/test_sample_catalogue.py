"""Articles, texts, annotations and photographs: the stated rates, and that the signal is where it should be."""

from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from atelier.sources.sample import SampleConfig, catalogue, drawing, labels, shapes, taxonomy, text
from atelier.sources.sample.generate import stream

CONFIG = SampleConfig(articles=12_000, customers=10, days=60, photographs=False)


@pytest.fixture(scope="module")
def articles() -> catalogue.Articles:
    return catalogue.draw_articles(CONFIG, stream(CONFIG, "catalogue"))


@pytest.fixture(scope="module")
def annotations(articles: catalogue.Articles) -> labels.Labels:
    return labels.draw_labels(CONFIG, articles, stream(CONFIG, "labels"))


def test_attributes_apply_to_their_types_only(articles: catalogue.Articles) -> None:
    np.testing.assert_array_equal(articles.attributes >= 0, taxonomy.applicability()[articles.types])
    for index, attribute in enumerate(taxonomy.ATTRIBUTES):
        codes = articles.attributes[:, index]
        assert set(codes[codes >= 0]) == set(range(len(attribute.names))), attribute.name


def test_ids_are_sorted_and_a_style_differs_in_colour_only(articles: catalogue.Articles) -> None:
    assert (articles.ids[:-1] < articles.ids[1:]).all()
    colour = taxonomy.ATTRIBUTE_NAMES.index("colour")
    frame = pd.DataFrame(articles.attributes).assign(style=articles.product_codes, type=articles.types)
    assert not frame.duplicated(["style", colour]).any()
    others = frame.drop(columns=colour).groupby("style").nunique()
    assert (others.to_numpy() == 1).all()
    assert frame["style"].value_counts().between(1, 5).all()


def test_the_shop_is_stationary(articles: catalogue.Articles) -> None:
    """As many articles are on sale at the end as at the start, within a tenth, and some of every week are new."""
    on_sale = np.array([articles.available(day).sum() for day in range(0, CONFIG.days, 7)])
    assert on_sale.max() < 1.12 * on_sale.min()
    for day in range(7, CONFIG.days - 7, 7):
        fresh = (articles.launched >= day) & (articles.launched < day + 7)
        assert 0.02 < fresh.sum() / on_sale.mean() < 0.09
    assert (articles.leaves >= articles.launched).all()
    assert (articles.leaves >= 0).all()
    assert (articles.launched < CONFIG.days).all()


def test_the_shop_changes_on_snapshot_days_only(articles: catalogue.Articles) -> None:
    for day in (day for day in range(1, CONFIG.days) if not catalogue.is_snapshot_day(day)):
        np.testing.assert_array_equal(articles.available(day), articles.available(day - 1))
        np.testing.assert_array_equal(articles.price_on(day), articles.price_on(day - 1))


def test_markdowns_are_occasional(articles: catalogue.Articles) -> None:
    on_sale = articles.available(30)
    reduced = (articles.price_on(30) < articles.prices)[on_sale].mean()
    assert 0.1 < reduced < 0.35
    assert (articles.price_on(30) > 0).all()


def test_labels_are_missing_as_published(articles: catalogue.Articles, annotations: labels.Labels) -> None:
    frame = labels.snapshot(CONFIG, articles, annotations, CONFIG.days - 1).to_pandas()
    missing = 1 - frame.groupby("attribute").size() / len(articles)
    assert missing.min() == pytest.approx(0.13, abs=0.02)
    assert missing.idxmin() == "colour"
    assert missing.max() > 0.998
    kinds = pd.Series(np.array(taxonomy.TYPE_NAMES)[articles.types], index=articles.ids)
    within = []
    for attribute in taxonomy.ATTRIBUTES:
        if attribute.missing < 0.5 or attribute.missing > 0.9:
            continue
        labelled = set(frame.loc[frame["attribute"] == attribute.name, "article_id"])
        applies = kinds[kinds.isin(attribute.types)]
        within.append((~applies.index.isin(labelled)).mean())
    assert all(0.68 < share < 0.78 for share in within)
    assert 0.70 < np.mean(within) < 0.75


def test_two_attributes_are_labelled_together_on_about_five_percent(
    articles: catalogue.Articles, annotations: labels.Labels
) -> None:
    frame = labels.snapshot(CONFIG, articles, annotations, CONFIG.days - 1).to_pandas()
    labelled = (
        pd.crosstab(frame["article_id"], frame["attribute"]).drop(columns=["colour", "embellishment"]).astype(bool)
    )
    names = list(labelled.columns)
    joint = [(labelled[a] & labelled[b]).sum() / len(articles) for i, a in enumerate(names) for b in names[i + 1 :]]
    assert 0.02 < np.median(joint) < 0.08


def test_a_few_labels_are_wrong_and_named(articles: catalogue.Articles, annotations: labels.Labels) -> None:
    planted = labels.planted_errors(articles, annotations, CONFIG.first_day).to_pandas()
    assert planted["wrong"].mean() == pytest.approx(CONFIG.wrong_labels, abs=0.005)
    assert ((planted["value"] != planted["truth"]) == planted["wrong"]).all()
    truth = labels.truth_table(articles).to_pandas().set_index(["article_id", "attribute"])["value"]
    stated = truth.loc[pd.MultiIndex.from_frame(planted[["article_id", "attribute"]])]
    assert (stated.to_numpy() == planted["truth"].to_numpy()).all()


def test_the_taxonomy_changes_once(articles: catalogue.Articles, annotations: labels.Labels) -> None:
    day = labels.taxonomy_change_day(CONFIG)
    assert catalogue.is_snapshot_day(day)
    before = labels.snapshot(CONFIG, articles, annotations, day - 1).to_pandas()
    after = labels.snapshot(CONFIG, articles, annotations, day).to_pandas()
    colours = [set(frame.loc[frame["attribute"] == "colour", "value"]) for frame in (before, after)]
    assert colours[0] - colours[1] == {"beige", "blue"}
    assert colours[1] - colours[0] == {"neutral", "light blue", "navy"}
    both = before.merge(after, on=["article_id", "attribute"], suffixes=("_before", "_after"))
    moved = both.groupby("value_before")["value_after"].agg(set)
    assert moved["beige"] == {"neutral"}
    assert moved["blue"] == {"light blue", "navy"}
    lost = before.merge(after, on=["article_id", "attribute"], how="left", indicator=True).query(
        "_merge == 'left_only'"
    )
    assert set(lost["value_x"]) == {"blue"}
    blue = (before["value"] == "blue") & (before["attribute"] == "colour")
    assert len(lost) / blue.sum() == pytest.approx(1 - labels.REANNOTATED, abs=0.05)


def test_texts_mention_what_they_should(articles: catalogue.Articles) -> None:
    texts = text.write_texts(articles, stream(CONFIG, "text")).to_pandas()
    whole = (texts["name"].astype(str) + " " + texts["description"].fillna("").astype(str)).str.lower()
    assert texts["description"].isna().mean() == pytest.approx(text.NO_DESCRIPTION, abs=0.01)
    assert texts["name"].str.len().min() > 1
    assert whole.nunique() > 0.9 * len(whole)
    for index, attribute in enumerate(taxonomy.ATTRIBUTES):
        for code, value in enumerate(attribute.names):
            rows = articles.attributes[:, index] == code
            words = tuple(word.lower() for word in attribute.words[value])
            said = whole[rows].map(lambda line, words=words: any(word in line for word in words)).mean()
            floor = attribute.mentioned * (1 - text.NO_DESCRIPTION) * (1 - text.MISLEADING) - 0.06
            if rows.sum() > 200:
                assert said >= floor, (attribute.name, value)
    patterns = [word for words in taxonomy.attribute("pattern").words.values() for word in words]
    assert not whole.str.contains("|".join(patterns)).any(), "patterns stand in photographs only"


def test_text_is_the_same_twice(articles: catalogue.Articles) -> None:
    first, second = (text.write_texts(articles, stream(CONFIG, "text")) for _ in range(2))
    assert first.equals(second)


def test_money_is_exact() -> None:
    amounts = np.array([0, 1, 999, 1099, 123_456_789])
    column = catalogue.money(amounts)
    assert column.type == pa.decimal128(18, 9)
    assert [str(value) for value in column.to_pylist()] == [
        "0E-9",
        "0.010000000",
        "9.990000000",
        "10.990000000",
        "1234567.890000000",
    ]


def test_every_garment_can_be_drawn_and_differs() -> None:
    """Each visible value changes the outline: a photograph without colour and pattern still tells it."""

    def points(kind: str, **values: str) -> bytes:
        shape = shapes.outline(kind, values)
        return b"".join(p.tobytes() for p in (*shape.body, *shape.cut))

    for kind in taxonomy.TYPE_NAMES:
        corners = np.concatenate(shapes.outline(kind, {}).body)
        assert (corners >= 0.0).all()
        assert (corners <= 1.0).all()
    base = {"neckline": "crew", "sleeve_length": "short", "length": "midi", "fit": "regular"}
    for name in ("neckline", "sleeve_length", "length", "fit"):
        drawn = {points("Dress", **{**base, name: value}) for value in taxonomy.attribute(name).names}
        assert len(drawn) == len(taxonomy.attribute(name).names), name
    assert len({points("Boots", heel=value) for value in taxonomy.attribute("heel").names}) == 3
    assert len({points(kind) for kind in taxonomy.TYPE_NAMES}) >= 10


def test_photographs_show_colour_and_pattern(articles: catalogue.Articles) -> None:
    """In the middle of a plain shot of trousers or a bag the mean colour is the article's, and patterns vary more."""
    colour, pattern = (taxonomy.ATTRIBUTE_NAMES.index(name) for name in ("colour", "pattern"))
    solid = np.flatnonzero(
        (articles.types == taxonomy.TYPE_NAMES.index("Bag")) & (articles.attributes[:, pattern] == 0)
    )
    for row in solid[:25]:
        image = drawing.photograph(articles, int(row), np.random.default_rng(0), 96, plain=True)
        middle = np.asarray(image, dtype=float)[55:70, 35:60].mean(axis=(0, 1))
        names = taxonomy.attribute("colour").names
        true = np.array(drawing._RGB[names[articles.attributes[row, colour]]])
        assert np.abs(middle - true).max() < 75
    patterned = np.flatnonzero(
        (articles.types == taxonomy.TYPE_NAMES.index("Bag")) & (articles.attributes[:, pattern] == 1)
    )
    spread = {
        name: np.mean(
            [
                np.asarray(drawing.photograph(articles, int(r), np.random.default_rng(1), 96, plain=True), dtype=float)[
                    55:70, 35:60
                ].std()
                for r in rows[:15]
            ]
        )
        for name, rows in (("solid", solid), ("stripes", patterned))
    }
    assert spread["stripes"] > 2 * spread["solid"]


def test_shots_are_planned_as_stated(articles: catalogue.Articles) -> None:
    shots = drawing.plan_shots(articles, stream(CONFIG, "shots"))
    counts = np.bincount(shots.articles)
    assert counts.mean() == pytest.approx(2.48, abs=0.05)
    assert (shots.second[shots.shots == 0] == -1).all()
    assert (shots.second[shots.shots > 0] >= 0).mean() == pytest.approx(drawing.SECOND_GARMENT, abs=0.02)
    assert (shots.second != shots.articles).all()


def test_available_until_is_not_known_in_advance(articles: catalogue.Articles) -> None:
    texts = text.write_texts(articles, stream(CONFIG, "text"))
    frame = catalogue.snapshot(articles, texts, 28, date(2025, 3, 3)).to_pandas()
    assert (frame["available_from"] <= date(2025, 3, 31)).all()
    ended = frame["available_until"].dropna()
    assert len(ended) > 100
    assert (ended < date(2025, 3, 31)).all()
