"""Returns: which purchases they cancel, by the obvious loop and through every place that counts purchases."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier import recommenders
from atelier.interactions import Interactions
from atelier.kinds import KINDS
from atelier.metrics import customers_with_history, evaluate
from atelier.returns import cancelled

ROW = st.tuples(
    st.integers(0, 2), st.integers(0, 1), st.sampled_from(["purchase", "return", "view"]), st.integers(0, 3)
)


def obvious(rows: list[tuple[int, int, str, int]], dated: bool) -> list[bool]:
    """A stack of open purchases for each customer and article; a return takes the last one."""
    order = range(len(rows))
    if dated:  # purchases before returns of the same moment
        order = sorted(order, key=lambda place: (rows[place][3], rows[place][2] == "return"))
    open_: dict[tuple[int, int], list[int]] = {}
    gone = [False] * len(rows)
    for place in order:
        customer, article, kind, _ = rows[place]
        stack = open_.setdefault((customer, article), [])
        if kind == "purchase":
            stack.append(place)
        elif kind == "return" and stack:
            gone[stack.pop()] = True
    return gone


@settings(max_examples=200)
@given(st.lists(ROW, max_size=25), st.booleans())
def test_cancelled_is_what_a_stack_gives(rows: list[tuple[int, int, str, int]], dated: bool) -> None:
    customers, articles = (np.array([row[place] for row in rows], dtype=np.int32) for place in (0, 1))
    kinds = np.array([row[2] for row in rows], dtype=object)
    moments = np.array([row[3] for row in rows], dtype=np.int64) if dated else None
    found = cancelled(customers, articles, kinds == "purchase", kinds == "return", moments)
    assert found.tolist() == obvious(rows, dated)


def frame(*rows: tuple[str, str, str, int], dated: bool = True) -> pd.DataFrame:
    """Rows of customer, article, kind, day of January 2024."""
    table = pd.DataFrame(rows, columns=["customer_id", "article_id", "kind", "day"])
    times = pd.Timestamp("2024-01-01") + pd.to_timedelta(table["day"] - 1, unit="D")
    return table.drop(columns="day").assign(**({"occurred_at": times} if dated else {}))


BOUGHT_AND_SENT_BACK = frame(
    ("u", "a", "purchase", 1),
    ("u", "a", "return", 3),
    ("u", "b", "purchase", 2),
    ("v", "a", "return", 1),  # bought before the data begin
    ("v", "a", "purchase", 2),
    ("w", "c", "purchase", 1),
    ("w", "c", "purchase", 2),
    ("w", "c", "return", 4),
    ("w", "d", "save", 1),
)


@pytest.mark.parametrize("dated", [True, False])
def test_of_kinds_leaves_out_what_was_sent_back(dated: bool) -> None:
    data = BOUGHT_AND_SENT_BACK if dated else BOUGHT_AND_SENT_BACK.drop(columns="occurred_at")
    interactions = Interactions.from_frame(data)

    def pairs(*kinds: str) -> list[tuple[str, str, str]]:
        rows = interactions.of_kinds(kinds).to_frame()
        return list(rows[["customer_id", "article_id", "kind"]].itertuples(index=False, name=None))

    kept = [("u", "b", "purchase"), ("v", "a", "purchase"), ("w", "c", "purchase")]
    assert sorted(pairs("purchase")) == kept
    assert sorted(pairs("save", "purchase")) == [*kept, ("w", "d", "save")]
    assert pairs("save") == [("w", "d", "save")]
    assert len(pairs("purchase", "return")) == 8, "who asks for returns gets every row as it is"
    assert len(pairs(*KINDS)) == len(data)
    again = interactions.of_kinds(("purchase",)).of_kinds(("purchase",))
    assert len(again) == 3
    if dated:
        first = interactions.of_kinds("purchase").to_frame().set_index("customer_id").loc["w", "occurred_at"]
        assert first == pd.Timestamp("2024-01-01"), "the later of two purchases is the one that was sent back"


def test_a_return_after_the_split_cancels_nothing_before_it() -> None:
    train, truth = Interactions.from_frame(BOUGHT_AND_SENT_BACK).split_at("2024-01-03")
    assert set(train.of_kinds("purchase").to_frame()["article_id"]) == {"a", "b", "c"}
    assert len(train.of_kinds("purchase")) == 5
    assert len(truth.of_kinds("purchase")) == 0


def test_the_truth_and_the_seen_are_net_of_returns() -> None:
    recs = pd.DataFrame({"customer_id": ["u", "u"], "article_id": ["a", "b"], "rank": [1, 2]})
    forms: list[Any] = [
        BOUGHT_AND_SENT_BACK,
        BOUGHT_AND_SENT_BACK.sample(frac=1, random_state=1),
        pa.Table.from_pandas(BOUGHT_AND_SENT_BACK),
        BOUGHT_AND_SENT_BACK.astype({"kind": "category"}),
        Interactions.from_frame(BOUGHT_AND_SENT_BACK),
    ]
    for form in forms:
        table = evaluate(recs, form, 2, customers=["u"]).set_index(["metric", "segment"])["value"]
        assert table["recall", "all"] == 1
        assert table["precision", "all"] == 0.5, "a was sent back: it is no hit"
        later = frame(("u", "a", "purchase", 9), ("u", "b", "purchase", 9))
        seen = evaluate(recs, later, 2, train=form, exclude_seen=True).set_index(["metric", "segment"])["value"]
        assert seen["precision", "all"] == 0.5, "b is seen, a is not: it was sent back"
    assert customers_with_history(frame(("u", "a", "purchase", 1), ("u", "a", "return", 2))) == []


@pytest.mark.parametrize("name", ["popular", "repeat", "als", "hybrid"])
def test_no_model_learns_from_what_was_sent_back(name: str) -> None:
    """The same data without the purchases that were sent back give the same lists."""
    random = np.random.default_rng(0)
    rows = [(f"c{c:02d}", f"a{a}", "purchase", 1 + c % 9) for c in range(30) for a in random.permutation(9)[:4]]
    kept = frame(*rows, ("x", "a1", "purchase", 1))
    given = frame(*rows, ("x", "a1", "purchase", 1), ("x", "a2", "purchase", 2), ("x", "a2", "return", 3))
    config = {"als": {"factors": 4, "threads": 1}, "hybrid": {"mode": "collaborative", "factors": 4, "max_epochs": 2}}
    models = [recommenders.build(name, **config.get(name, {})).fit(data) for data in (given, kept)]
    lists = [model.recommend(k=9) for model in models]
    pd.testing.assert_frame_equal(*lists)
    assert "a2" in set(lists[0][lists[0].customer_id == "x"].article_id), "what was sent back is not seen"


def test_who_counts_returns_as_seen_gets_them_excluded() -> None:
    data = frame(
        ("u", "a", "purchase", 1), ("u", "a", "return", 2), ("v", "a", "purchase", 1), ("v", "b", "purchase", 1)
    )
    lists = {}
    for kinds in (("purchase",), ("purchase", "return")):
        recs = recommenders.build("popular", window_days=None, seen_kinds=kinds).fit(data).recommend(["u"])
        lists[kinds] = set(recs.article_id)
    assert lists == {("purchase",): {"a", "b"}, ("purchase", "return"): {"b"}}


def test_als_can_weigh_returns() -> None:
    """With returns among train_kinds the rows come as they are, and a weight of −1 takes a purchase back."""
    data = frame(
        ("u", "a", "purchase", 1), ("u", "a", "return", 1), ("u", "b", "purchase", 1), ("v", "a", "purchase", 1)
    )
    config = {"factors": 2, "threads": 1, "train_kinds": ("purchase", "return")}
    weighed = recommenders.build("als", **config, kind_weights={"return": -1.0}).fit(data)
    profiles = weighed.customer_profiles.profiles
    assert profiles["history.columns"].tolist() == [1, 0], "u has b, v has a"
    ignored = recommenders.build("als", **config).fit(data)
    assert len(ignored.customer_profiles.profiles["history.columns"]) == 3, "a return that has no weight counts 0"
