"""What is wrong with a value is said at the entrance, whichever it is; what is right is read alike everywhere.

One table for each sort of value: times, flags, numbers, kinds and choices; identifiers have a module of their own
(``test_entrances_identifiers.py``).
"""

import datetime
import warnings
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier import recommenders
from atelier.articles.vectors import ArticleVectors
from atelier.catalogue import Catalogue
from atelier.errors import AtelierError, NothingInCommonWarning
from atelier.frames import categories, chosen_texts, day, days, flag, flags, numbers, times
from atelier.interactions import Interactions
from atelier.metrics import compare, evaluate, per_customer
from atelier.recommenders.training_data.negatives import negative_pool
from atelier.recommenders.training_data.positives import Window
from tests.entrances import DAY, HALF, PAIRS, RECS, OddError, at

# Times

NO_TIMES: dict[str, Any] = {
    "seconds": [1600732800] * 3,
    "floats": [1.6e9] * 3,
    "decimals": [Decimal(1600732800)] * 3,
    "numbers as text": ["1600732800"] * 3,
    "a day as a number": [20200922] * 3,
    "truths": [True] * 3,
    "durations": pd.to_timedelta([1, 2, 3], unit="D"),
    "periods": pd.period_range("2020-01", periods=3, freq="M"),
    "times of day": [datetime.time(1)] * 3,
    "words": ["yesterday"] * 3,
    "zones in text": ["2020-01-01T00:00:00Z"] * 3,
    "a mixture": ["2020-01-01", datetime.date(2020, 1, 1), 3],
    "several zones": [pd.Timestamp("2020-01-01", tz=zone) for zone in ("UTC", "Europe/London", "UTC")],
    "beyond the range": np.array(["400000-01-01"] * 3, "datetime64[s]"),
}
TIME_READERS: dict[str, Callable[[Any], Any]] = {
    "interactions": lambda v: Interactions.from_frame(PAIRS.assign(occurred_at=v)),
    "metrics: train": lambda v: evaluate(RECS, PAIRS, 2, train=PAIRS.assign(occurred_at=v)),
    "metrics: returns": lambda v: evaluate(
        RECS, PAIRS.assign(occurred_at=v, kind=["purchase", "return", "purchase"]), 2
    ),
    "metrics: catalogue": lambda v: evaluate(
        RECS, PAIRS, 2, catalogue=pd.DataFrame({"article_id": ["a", "b", "c"], "available_from": v}), as_of=DAY
    ),
    "article vectors": lambda v: ArticleVectors().fit_transform(
        pd.DataFrame({"article_id": ["a", "b", "c"], "available_from": v}), as_of=DAY
    ),
    "catalogue": lambda v: Catalogue.from_frames(pd.DataFrame({"article_id": ["a", "b", "c"], "available_until": v})),
    "negatives": lambda v: negative_pool(
        Interactions.from_frame(PAIRS),
        Catalogue.from_frames(pd.DataFrame({"article_id": ["a", "b", "c"], "available_from": v})),
        Window(np.datetime64("2020-01-01"), np.datetime64("2020-01-02")),
        np.ones(2, bool),
        1,
    ),
}


@pytest.mark.parametrize("reader", TIME_READERS)
@pytest.mark.parametrize("values", NO_TIMES)
def test_what_is_no_time_is_refused_everywhere(reader: str, values: str) -> None:
    with pytest.raises(AtelierError, match=r"occurred_at|available_from|available_until"):
        TIME_READERS[reader](NO_TIMES[values])


@given(st.lists(st.none() | st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2200, 1, 1)), max_size=9))
def test_every_form_of_time_reads_the_same(given_times: list[datetime.datetime | None]) -> None:
    forms: list[Any] = [
        given_times,
        pd.Series(given_times, dtype=object),
        pd.Series(given_times, dtype="datetime64[us]"),
        pd.Series(given_times, dtype="datetime64[us]").dt.tz_localize("UTC").dt.tz_convert("UTC"),
        pd.Series(pa.array(given_times, pa.timestamp("us")), dtype=pd.ArrowDtype(pa.timestamp("us"))),
        pa.array(given_times, pa.timestamp("us")),
        pa.chunked_array([pa.array(given_times, pa.timestamp("us"))]),
        [None if each is None else each.isoformat() for each in given_times],
    ]
    for form in forms:
        found = times(form, "t", OddError)
        assert found.type == pa.timestamp("us")
        assert found.to_pylist() == given_times
        whole = [None if each is None else each.date() for each in given_times]
        assert days(form, "t", OddError).to_pylist() == whole


def test_a_zone_is_read_off_its_clock_everywhere() -> None:
    zoned = pd.Series(pd.to_datetime(["2020-02-29 23:30:00Z"] * 2)).dt.tz_convert("Europe/Berlin")  # 1 March there
    plain = pd.Series(pd.to_datetime(["2020-03-01 00:30:00"] * 2))
    ages, vectors = [], []
    for column in (zoned, plain):
        catalogue = pd.DataFrame({"article_id": ["a", "b"], "available_from": column})
        ages.append(at(evaluate(RECS, PAIRS, 2, catalogue=catalogue, as_of="2020-03-11"), "mean_age_days_at_rank", 1))
        vectors.append(ArticleVectors().fit_transform(catalogue, as_of=datetime.date(2020, 3, 11)))
    assert ages[0] == ages[1] == pytest.approx(10 - 0.5 / 24)
    np.testing.assert_array_equal(*vectors)


@pytest.mark.parametrize("value", [20200922, 1.5, None, pd.NaT, np.datetime64("NaT"), "nonsense", True, Decimal(1)])
def test_what_is_no_day_is_refused(value: Any) -> None:
    dated = Interactions.from_frame(PAIRS.assign(occurred_at="2020-01-01"))
    for use in (lambda: dated.split_at(value), lambda: day(value, "day", OddError)):
        with pytest.raises(AtelierError, match=r"day is .*no day"):
            use()
    if value is not None:
        with pytest.raises(AtelierError, match=r"as_of is .*no day"):
            evaluate(RECS, PAIRS, 2, as_of=value)


def test_every_form_of_a_day_reads_the_same() -> None:
    forms = [DAY, "2020-03-01", "2020-03-01T23:00", "20200301", datetime.datetime(2020, 3, 1, 5), np.datetime64(DAY)]
    forms += [pd.Timestamp("2020-03-01 23:00", tz="America/New_York"), np.datetime64("2020-03-01T23:00")]
    assert {day(form, "day", OddError) for form in forms} == {DAY}


# Flags

NO_FLAGS: dict[str, Any] = {
    "text": ["False", "True", "False"],
    "categories of text": pd.Categorical(["False", "True", "False"]),
    "yes and no": ["yes", "no", "no"],
    "digits": ["0", "1", "0"],
    "other numbers": [0, 2, 1],
    "shares": [0.0, 0.5, 1.0],
    "a mixture": [True, "False", False],
    "nulls": [True, None, False],
    "nan": [1.0, np.nan, 0.0],
    "NA": pd.array([True, None, False], dtype="boolean"),
    "days": [DAY] * 3,
}


@pytest.mark.parametrize("values", NO_FLAGS)
def test_what_is_no_flag_is_refused(values: str) -> None:
    with pytest.raises(AtelierError, match="in_stock"):
        Catalogue.from_frames(pd.DataFrame({"article_id": ["a", "b", "c"], "in_stock": NO_FLAGS[values]}))


@given(st.lists(st.booleans(), max_size=9))
def test_every_form_of_flags_reads_the_same(values: list[bool]) -> None:
    forms: list[Any] = [
        values,
        np.array(values, dtype=bool),
        np.array(values, dtype=np.int8),
        np.array(values, dtype=float),
        pd.Series(values, dtype=object),
        pd.array(values, dtype="boolean"),
        pa.array(values, pa.bool_()),
        pa.array(values, pa.bool_()).dictionary_encode(),
        pa.chunked_array([pa.array(values[:2], pa.bool_()), pa.array(values[2:], pa.bool_())]),
    ]
    for form in forms:
        found = flags(form, "f", OddError)
        assert found.dtype == bool
        assert found.tolist() == values


# Numbers, kinds, choices


def test_numbers_of_any_sort() -> None:
    for values in ([1, None, 3], [1.0, np.nan, 3.0], [Decimal(1), None, Decimal(3)], pd.array([1, None, 3], "Int64")):
        np.testing.assert_array_equal(numbers(values, "n", OddError), [1, np.nan, 3])
    with pytest.raises(OddError, match="column n"):
        numbers(["dear"], "n", OddError)
    with pytest.raises(AtelierError, match="column price"):
        evaluate(RECS, PAIRS, 2, catalogue=pd.DataFrame({"article_id": ["a"], "price": ["dear"]}))


@pytest.mark.parametrize("values", [[1, 2, 3], ["purchase", None, "save"], [True] * 3, HALF, [["purchase"]] * 3])
def test_what_is_no_kind_is_refused_everywhere(values: Any) -> None:
    frame = PAIRS.assign(kind=pd.Series(values))
    for use in (lambda: Interactions.from_frame(frame), lambda: evaluate(RECS, frame, 2)):
        with pytest.raises(AtelierError, match="kind"):
            use()
    unused = pa.DictionaryArray.from_arrays(pa.array([1, 0]), pa.array(["x", None]))
    with pytest.raises(OddError, match="null in 1 rows"):
        categories(unused, "kind", OddError)


ONE_KIND: list[Any] = [
    ("purchase",),
    ["purchase"],
    {"purchase"},
    "purchase",
    pd.Series(["purchase"]),
    iter(["purchase"]),
]


@pytest.mark.parametrize("kinds", ONE_KIND, ids=lambda kinds: type(kinds).__name__)
def test_one_kind_is_one_kind_however_it_is_given(kinds: Any) -> None:
    train = PAIRS.assign(kind="purchase")
    table = evaluate(RECS, PAIRS, 2, train=train, exclude_seen=True, seen_kinds=kinds)
    everyone = table[(table["metric"] == "recall") & (table["segment"] == "all")]
    assert everyone["value"].item() is pd.NA
    assert everyone["customers"].item() == 0, "everything relevant was seen: nobody is judged"


@pytest.mark.parametrize("argument", ["seen_kinds", "truth_kinds", "train_kinds"])
@pytest.mark.parametrize(
    "kinds", [PAIRS, pa.table({"purchase": ["x"]}), {"purchase": 1.0}, [1], [None], 5, b"purchase", [["purchase"]]]
)
def test_what_is_no_choice_of_kinds_is_refused(argument: str, kinds: Any) -> None:
    data = PAIRS.assign(kind="purchase")
    with pytest.raises(AtelierError, match=argument):
        evaluate(RECS, data, 2, train=data, exclude_seen=True, **{argument: kinds})
    with pytest.raises(AtelierError, match="kinds"):
        Interactions.from_frame(data).of_kinds(kinds)


def test_choices_of_names() -> None:
    assert chosen_texts("ab", "c", OddError) == chosen_texts(["ab"], "c", OddError) == ("ab",)
    assert chosen_texts([], "c", OddError) == chosen_texts(np.array([]), "c", OddError) == ()
    with pytest.raises(AtelierError, match="1 names for vectors of 2"):
        Catalogue.from_frames(pd.DataFrame({"article_id": ["a"]}), np.ones((1, 2)), names="ab")  # not a and b


@pytest.mark.parametrize("k", ["10", 1.5, [1.7], True, 0, -1, [], [None], None, PAIRS])
def test_what_is_no_length_of_lists_is_refused(k: Any) -> None:
    with pytest.raises(AtelierError, match=r"\bk\b"):
        evaluate(RECS, PAIRS, k)
    if isinstance(k, str | float | bool):
        model = recommenders.build("popular").fit(PAIRS)
        for ask in (model.recommend, model.similar):
            with pytest.raises(ValueError, match="whole number and at least 1"):
                ask(k=k)


def test_a_frame_where_frames_by_name_are_wanted_is_refused() -> None:
    with pytest.raises(AtelierError, match="restricted_recs is a DataFrame"):
        evaluate(RECS, PAIRS, 2, train=PAIRS, restricted_recs=RECS)  # type: ignore[arg-type]
    with pytest.raises(AtelierError, match="compare takes a frame for each model"):
        compare(per_customer(RECS, PAIRS, 2))  # type: ignore[arg-type]


# What is asked for by a name or a flag


@pytest.mark.parametrize("value", ["False", "", None, 2, 0.0, [True]], ids=repr)
def test_an_argument_that_is_no_flag_is_refused(value: Any) -> None:
    model = recommenders.build("popular").fit(PAIRS)
    uses: list[Callable[[], Any]] = [
        lambda: evaluate(RECS, PAIRS, 2, train=PAIRS, exclude_seen=value),
        lambda: per_customer(RECS, PAIRS, 2, train=PAIRS, exclude_seen=value),
        lambda: model.recommend(exclude_seen=value),
    ]
    for use in uses:
        with pytest.raises(AtelierError, match=r"exclude_seen is .*say True or False"):
            use()


def test_every_form_of_a_flag_reads_the_same() -> None:
    assert [flag(each, "f", OddError) for each in (True, np.True_, 1, np.int8(1))] == [True] * 4
    assert [flag(each, "f", OddError) for each in (False, np.False_, 0, np.int8(0))] == [False] * 4


BOUGHT = PAIRS.assign(kind=["purchase", "view", "purchase"])
MISSPELT: dict[str, Callable[[], Any]] = {
    "of_kinds": lambda: Interactions.from_frame(BOUGHT).of_kinds(("purchase", "purchace")),
    "kind_weights": lambda: recommenders.build("als", factors=2, kind_weights={"purchace": 0.5}).fit(BOUGHT),
    "truth_kinds": lambda: evaluate(RECS, BOUGHT, 2, truth_kinds=("purchase", "purchace")),
    "truth_kinds of Interactions": lambda: evaluate(
        RECS, Interactions.from_frame(BOUGHT), 2, truth_kinds=("purchase", "purchace")
    ),
}


@pytest.mark.parametrize("use", MISSPELT)
def test_a_misspelt_kind_is_named_with_what_may_be_meant(use: str) -> None:
    with pytest.warns(NothingInCommonWarning, match="'purchace' .perhaps 'purchase' is meant.*purchase, view"):
        MISSPELT[use]()


def test_a_known_kind_that_a_day_lacks_is_no_mistake() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(Interactions.from_frame(BOUGHT).of_kinds(("purchase", "save"))) == 2
        assert len(Interactions.from_frame(BOUGHT.head(0)).of_kinds("click")) == 0


@pytest.mark.parametrize("n", [1.5, 0, True, "1"], ids=repr)
def test_a_count_of_rows_that_is_none_is_refused(n: Any) -> None:
    with pytest.raises(AtelierError, match="leave_last_out takes a whole number"):
        Interactions.from_frame(PAIRS).leave_last_out(n)


@pytest.mark.parametrize("prices", [[True, False, True], [1.0, np.inf, 2.0]], ids=["truths", "infinite"])
def test_what_is_no_price_is_refused(prices: Any) -> None:
    with pytest.raises(AtelierError, match=r"column price (holds true and false|is infinite in 1 rows)"):
        Interactions.from_frame(PAIRS.assign(price=prices))
