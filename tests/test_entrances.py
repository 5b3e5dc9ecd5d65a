"""What is wrong with an input is said at the entrance, whichever it is; what is right is read alike everywhere.

One table for each sort of input: times, flags, identifiers, choices, and inputs that have nothing in common.
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
from atelier.articles.image_vectors import group_image_vectors
from atelier.articles.table import Articles
from atelier.articles.vectors import ArticleVectors
from atelier.attributes.labels import RESERVED, labels_of, read_labels
from atelier.attributes.scores import MEAN
from atelier.catalogue import Catalogue
from atelier.errors import AtelierError, NothingInCommonWarning
from atelier.frames import categories, chosen_texts, day, days, flag, flags, numbers, times
from atelier.ids import IdMap
from atelier.interactions import Interactions
from atelier.metrics import article_segments, compare, customers_with_history, evaluate, per_customer
from atelier.recommenders.training_data.negatives import negative_pool
from atelier.recommenders.training_data.positives import Window


class OddError(AtelierError):
    """The error of these tests."""


PAIRS = pd.DataFrame({"customer_id": ["u", "u", "v"], "article_id": ["a", "b", "a"]})
RECS = pd.DataFrame({"customer_id": ["u", "u", "v"], "article_id": ["a", "b", "b"], "rank": [1, 2, 1]})
DAY = datetime.date(2020, 3, 1)
HALF = pd.Series(["\ud800", "x", "y"], dtype=object)
"""A column whose first text is half a surrogate pair."""


def at(table: pd.DataFrame, metric: str, k: int = 2) -> Any:
    rows = table[(table["metric"] == metric) & (table["k"] == k) & (table["segment"] == "all")]
    return rows["value"].item()


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


CUSTOMERS: list[Any] = [
    ["u"],
    {"u"},
    pd.Series(["u", "u"]),
    pa.array(["u"]),
    pd.DataFrame({"customer_id": ["u"], "article_id": ["x"]}),
    pa.table({"other": ["v"], "customer_id": ["u"]}),
    IdMap.from_values(["u"]),
    pd.Categorical(["u"]),
]


@pytest.mark.parametrize("customers", CUSTOMERS, ids=lambda customers: type(customers).__name__)
def test_customers_are_a_column_or_the_column_of_a_frame(customers: Any) -> None:
    table = evaluate(RECS, PAIRS, 2, customers=customers)
    assert table[table["metric"] == "recall"]["customers"].unique().tolist() == [1]
    assert per_customer(RECS, PAIRS, 2, customers=customers)["customer_id"].unique().tolist() == ["u"]
    values = {name: per_customer(RECS, PAIRS, 2) for name in ("one", "other")}
    assert set(compare(values, customers)["customers"]) == {1}
    recs = recommenders.build("popular").fit(PAIRS).recommend(customers, k=1, exclude_seen=False)
    assert recs["customer_id"].tolist() == ["u"]


@pytest.mark.parametrize("customers", ["u", b"u", {"u": 1}, 5, pd.DataFrame({"id": ["u"]}), [None], HALF])
def test_what_is_no_collection_of_customers_is_refused(customers: Any) -> None:
    model = recommenders.build("popular").fit(PAIRS)
    values = {name: per_customer(RECS, PAIRS, 2) for name in ("one", "other")}
    for use in (
        lambda: evaluate(RECS, PAIRS, 2, customers=customers),
        lambda: compare(values, customers),
        lambda: model.recommend(customers),
        lambda: model.can_serve(customers),
    ):
        with pytest.raises(AtelierError, match=r"customer|frame"):
            use()


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


# Identifiers

NUMBERED = {"customer_id": {"u": 1, "v": 2}, "article_id": {"a": 1, "b": 2, "c": 3}}


def numbered(frame: pd.DataFrame, *names: str) -> pd.DataFrame:
    """The frame with numbers for the identifiers of some columns."""
    return frame.assign(**{name: frame[name].map(NUMBERED[name]) for name in names})


def as_digits(frame: pd.DataFrame, *names: str) -> pd.DataFrame:
    """The same numbers as texts."""
    return numbered(frame, *names).astype(dict.fromkeys(names, "str"))


@pytest.mark.parametrize("name", ["customer_id", "article_id"])
@pytest.mark.parametrize("form", ["int64", "Int64", "float64", "int8"])
def test_numbers_are_not_the_texts_of_their_digits(name: str, form: str) -> None:
    numbers_, texts = (change(PAIRS, name).assign(kind="purchase") for change in (numbered, as_digits))
    numbers_ = numbers_.astype({name: form})
    recs = as_digits(RECS, name)
    catalogue = pd.DataFrame({"article_id": [1, 2, 3]})
    uses = {
        "truth": lambda: evaluate(recs, numbers_, 2),
        "recs": lambda: evaluate(numbered(RECS, name), texts, 2),
        "interactions": lambda: evaluate(numbered(RECS, name), Interactions.from_frame(texts), 2),
        "categories": lambda: per_customer(numbered(RECS, name), texts.astype({name: "category"}), 2),
        "train": lambda: evaluate(recs, texts, 2, train=numbers_),
        "seen": lambda: evaluate(recs, texts, 2, train=numbers_, exclude_seen=True),
        "restricted": lambda: evaluate(
            recs, texts, 2, train=texts, restricted_recs={"article:cold": numbered(RECS, name)}
        ),
        "catalogue": lambda: evaluate(RECS, PAIRS, 2, catalogue=catalogue),
        "customers": lambda: evaluate(recs, texts, 2, customers=[1]),
        "segments": lambda: article_segments(catalogue, PAIRS),
    }
    for use in uses.values():
        with pytest.raises(AtelierError, match=r"_id .*(never be equal|text)"):
            use()


def test_numbers_on_both_sides_are_what_texts_on_both_sides_are() -> None:
    whole = ("customer_id", "article_id")
    found = evaluate(numbered(RECS, *whole), numbered(PAIRS, *whole), 2, customers=[1, 2])
    pd.testing.assert_frame_equal(found, evaluate(RECS, PAIRS, 2))
    none = numbered(PAIRS, *whole).iloc[:0]
    assert at(evaluate(RECS, none, 2), "recall") is pd.NA, "a frame without rows goes with any"


@pytest.mark.parametrize("values", [[1, 2], [1.0, 2.0], [True, False], [Decimal(1), Decimal(2)]])
def test_articles_are_text_everywhere(values: list[Any]) -> None:
    labels = pd.DataFrame({"article_id": values, "attribute": "colour", "value": "red"})
    known = pd.DataFrame({"article_id": ["1", "2"]})
    for use in (
        lambda: Articles.from_frame(pd.DataFrame({"article_id": values})),
        lambda: Catalogue.from_frames(pd.DataFrame({"article_id": values})),
        lambda: ArticleVectors().fit_transform(known, labels, as_of=DAY),
        lambda: read_labels(labels),
        lambda: group_image_vectors(["1", "2"], values, np.ones((2, 2))),
    ):
        with pytest.raises(AtelierError, match=r"article_id is .*not text"):
            use()


@pytest.mark.parametrize(
    "use",
    [
        lambda: Interactions.from_frame(PAIRS.assign(customer_id=HALF)),
        lambda: Interactions.from_frame(PAIRS.assign(article_id=HALF)),
        lambda: Interactions.from_frame(PAIRS.assign(kind=HALF)),
        lambda: Interactions.from_frame(PAIRS.assign(channel=HALF)),
        lambda: Catalogue.from_frames(pd.DataFrame({"article_id": HALF})),
        lambda: evaluate(RECS, PAIRS.assign(article_id=HALF), 2),
        lambda: evaluate(RECS, PAIRS, 2, catalogue=pd.DataFrame({"article_id": ["a", "b", "c"], "product_type": HALF})),
        lambda: Articles.from_frame(pd.DataFrame({"article_id": HALF})),
        lambda: Articles.from_frame(pd.DataFrame({"article_id": ["a", "b", "c"], "text": HALF})).words,
        lambda: Articles.from_frame(pd.DataFrame({"article_id": ["a", "b", "c"], "brand": HALF})).categories,
        lambda: read_labels(pd.DataFrame({"article_id": ["a", "b", "c"], "attribute": "x", "value": HALF})),
        lambda: IdMap.from_values(pd.Categorical.from_codes([0, 1, 2], pd.Index(HALF, dtype=object))),
    ],
)
def test_half_a_surrogate_pair_is_named_with_its_row(use: Callable[[], Any]) -> None:
    with pytest.raises(AtelierError, match=r"half a surrogate pair in row 0.*replace"):
        use()


def test_no_attribute_is_called_as_the_rows_of_means() -> None:
    assert RESERVED == MEAN
    with pytest.raises(AtelierError, match=r"an attribute is called 'mean'.*another name"):
        read_labels(pd.DataFrame({"article_id": ["a", "b"], "attribute": ["colour", "mean"], "value": "x"}))


# Nothing in common

STRANGERS = pd.DataFrame({"customer_id": ["x", "y"], "article_id": ["p", "q"]})
KINDS = PAIRS.assign(kind="purchase")
ARTICLES = pd.DataFrame({"article_id": ["p"]})
ALONE: dict[str, tuple[Callable[[], Any], str]] = {
    "truth": (lambda: evaluate(RECS, STRANGERS, 2), "customer_id of truth .*'x'.*'u'"),
    "articles of the truth": (lambda: per_customer(RECS, PAIRS.assign(article_id="z"), 2), "article_id of truth"),
    "customers": (lambda: evaluate(RECS, PAIRS, 2, customers=["x"]), "customer_id of customers"),
    "catalogue": (lambda: evaluate(RECS, PAIRS, 2, catalogue=ARTICLES), "article_id of recs"),
    "train": (lambda: evaluate(RECS, PAIRS, 2, train=STRANGERS), "article_id of train"),
    "seen": (lambda: evaluate(RECS, PAIRS, 2, train=STRANGERS, exclude_seen=True), "customer_id of train"),
    "seen_kinds": (
        lambda: evaluate(RECS, PAIRS, 2, train=KINDS, exclude_seen=True, seen_kinds=["bought"]),
        "seen_kinds is bought.* its kinds are purchase",
    ),
    "truth_kinds": (lambda: evaluate(RECS, KINDS, 2, truth_kinds=["save"]), "truth_kinds is save"),
    "train_kinds": (lambda: evaluate(RECS, PAIRS, 2, train=KINDS, train_kinds=["view"]), "train_kinds is view"),
    "history": (lambda: customers_with_history(KINDS, ["view"]), "train_kinds is view"),
    "segments": (lambda: article_segments(ARTICLES, PAIRS), "article_id of train"),
    "compare": (lambda: compare({n: per_customer(RECS, PAIRS, 2) for n in "ab"}, ["x"]), "customer_id of customers"),
    "vectors": (
        lambda: evaluate(RECS, PAIRS, 2, vectors=pd.DataFrame({"article_id": ["p"], "vector": [[1.0]]})),
        "article_id of vectors",
    ),
    "the model's catalogue": (
        lambda: recommenders.build("popular").fit(PAIRS, Catalogue.from_frames(ARTICLES)),
        "article_id of the catalogue",
    ),
    "the model's customers": (
        lambda: recommenders.build("popular").fit(PAIRS, customers=STRANGERS),
        "customer_id of the customers",
    ),
    "the model's seen_kinds": (
        lambda: recommenders.build("popular", seen_kinds=("bought",)).fit(KINDS),
        "seen_kinds is bought.*their kinds are purchase",
    ),
    "histories": (
        lambda: recommenders.build("popular").fit(PAIRS).recommend(histories=STRANGERS),
        "article_id of the histories",
    ),
    "labels": (
        lambda: labels_of(
            Articles.from_frame(ARTICLES),
            read_labels(pd.DataFrame({"article_id": ["a"], "attribute": "x", "value": "y"})),
        ),
        "no labelled article",
    ),
    "attributes": (
        lambda: ArticleVectors().fit_transform(
            ARTICLES, pd.DataFrame({"article_id": ["a"], "attribute": "x", "value": "y"}), as_of=DAY
        ),
        "no article of the attributes",
    ),
    "photographs": (lambda: group_image_vectors(["a"], ["p"], np.ones((1, 2))), "no photograph"),
}


@pytest.mark.parametrize("case", ALONE)
def test_nothing_in_common_is_a_warning_that_says_so(case: str) -> None:
    use, message = ALONE[case]
    with pytest.warns(NothingInCommonWarning, match=message):
        use()


def test_what_has_something_in_common_is_silent() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", NothingInCommonWarning)
        some = pd.concat([KINDS, STRANGERS.assign(kind="view")])
        catalogue = pd.DataFrame({"article_id": ["a", "p"]})
        evaluate(RECS, some, 2, train=some, exclude_seen=True, catalogue=catalogue, customers=["u", "x"])
        for empty in (KINDS.iloc[:0], some.iloc[:0]):
            evaluate(RECS, empty, 2, train=empty, exclude_seen=True, seen_kinds=["bought"])
            evaluate(RECS.iloc[:0], PAIRS, 2)
        model = recommenders.build("popular").fit(some, Catalogue.from_frames(catalogue), customers=STRANGERS[:0])
        model.recommend(histories=pd.concat([PAIRS, STRANGERS]))


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
