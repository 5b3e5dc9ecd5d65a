"""What is wrong with identifiers is said at the entrance, whichever it is; what is right is read alike everywhere.

Customers and articles that are no texts, and inputs that have no identifier in common. Values: ``test_entrances.py``.
"""

import warnings
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from atelier import recommenders
from atelier.articles.image_vectors import group_image_vectors
from atelier.articles.table import Articles
from atelier.articles.vectors import ArticleVectors
from atelier.attributes.labels import RESERVED, labels_of, read_labels
from atelier.attributes.scores import MEAN
from atelier.catalogue import Catalogue
from atelier.errors import AtelierError, NothingInCommonWarning
from atelier.ids import IdMap
from atelier.interactions import Interactions
from atelier.metrics import article_segments, compare, customers_with_history, evaluate, per_customer
from tests.entrances import DAY, HALF, PAIRS, RECS, at

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
