"""The feature queries against cases computed by hand, and against pandas on generated ones."""

from datetime import date

import duckdb
import numpy as np
import pandas as pd
import pytest

from sql import query

AS_OF = date(2024, 3, 31)


def _interactions(rows: list[tuple[str, str, str, str, str | None, str | None]]) -> pd.DataFrame:
    """Rows of (ds, customer, article, kind, price, channel)."""
    return pd.DataFrame(rows, columns=["ds", "customer_id", "article_id", "kind", "price", "channel"], dtype="string")


def _features(name: str, interactions: pd.DataFrame, entities: list[str], threads: int = 1) -> pd.DataFrame:
    key = name.removesuffix("_features")
    con = duckdb.connect(config={"threads": threads})
    con.register("raw", interactions)
    con.register("entities", pd.DataFrame({f"{key}_id": pd.Series(entities, dtype="string")}))
    con.execute(
        "CREATE TABLE interactions AS SELECT CAST(ds AS DATE) AS ds, customer_id, article_id, kind,"
        " CAST(price AS DECIMAL(18,9)) AS price, channel FROM raw"
    )
    con.execute(f"CREATE TABLE {key}s AS SELECT * FROM entities")  # noqa: S608 - the name is one of two literals
    frame = con.execute(query(name), {"as_of": AS_OF, "window": 30}).df()
    return frame.set_index(f"{key}_id").sort_index()


ROWS = [
    # Three units of a; two at 10 in the shop long ago, one at 16 on the web within the window.
    ("2024-01-01", "u", "a", "purchase", "10", "store"),
    ("2024-01-01", "u", "a", "purchase", "10", "store"),
    ("2024-03-31", "v", "a", "purchase", "16", "web"),
    # The window of 30 days that ends on 03-31 begins on 03-02: this one is just inside, the next just outside.
    ("2024-03-02", "u", "b", "purchase", "5", "web"),
    ("2024-03-01", "v", "b", "purchase", "7", None),
    # Views are not sales.
    ("2024-03-30", "v", "b", "view", "1000", "app"),
]


def test_article_features_of_a_case_computed_by_hand() -> None:
    features = _features("article_features", _interactions(ROWS), ["a", "b", "never_sold"])
    a = features.loc["a"]
    assert (a.sales, a.distinct_customers, a.sales_30d, a.distinct_customers_30d) == (3, 2, 1, 1)
    assert (a.first_sale.date(), a.last_sale.date()) == (date(2024, 1, 1), date(2024, 3, 31))
    assert (a.price_mean, a.price_median, a.most_common_channel) == (12.0, 10.0, "store")
    assert a.price_std == pytest.approx(np.sqrt(12))  # deviations −2, −2, 4: 24 / 2
    b = features.loc["b"]
    assert (b.sales, b.sales_30d, b.most_common_channel, b.price_median) == (2, 1, "web", 6.0)
    never = features.loc["never_sold"]
    assert (never.sales, never.distinct_customers, never.sales_30d) == (0, 0, 0)
    assert never[["first_sale", "price_mean", "price_std", "price_median", "most_common_channel"]].isna().all()


def test_customer_features_of_a_case_computed_by_hand() -> None:
    features = _features("customer_features", _interactions(ROWS), ["u", "v", "newcomer"])
    u = features.loc["u"]
    assert (u.transactions, u.distinct_articles, u.purchases_30d) == (3, 2, 1)
    assert (u.first_purchase.date(), u.last_purchase.date()) == (date(2024, 1, 1), date(2024, 3, 2))
    assert u.days_active == 62  # 31 of January, 29 of February, 2 of March
    assert u.purchase_frequency == pytest.approx(3 / 62)
    assert (float(u.total_spend), float(u.price_min), float(u.price_max)) == (25.0, 5.0, 10.0)
    assert u.price_mean == pytest.approx(25 / 3)
    assert u.price_std == pytest.approx(np.std([10, 10, 5], ddof=1))
    assert (float(u.spend_30d), u.price_mean_30d, u.most_used_channel) == (5.0, 5.0, "store")
    assert features.loc["v"].most_used_channel == "web"
    newcomer = features.loc["newcomer"]
    assert (newcomer.transactions, float(newcomer.total_spend), newcomer.days_active) == (0, 0.0, 0)
    assert newcomer[["first_purchase", "price_mean", "price_std", "price_min", "most_used_channel"]].isna().all()


def test_ties_between_channels_go_to_the_first_in_the_alphabet() -> None:
    rows = [("2024-03-31", "u", "a", "purchase", "1", channel) for channel in ("web", "app", "store")]
    assert _features("article_features", _interactions(rows), ["a"]).loc["a"].most_common_channel == "app"


def test_the_deviation_of_equal_prices_is_exactly_zero() -> None:
    rows = [("2024-03-31", "u", "a", "purchase", "0.050830508", "web")] * 1000
    assert _features("article_features", _interactions(rows), ["a"]).loc["a"].price_std == 0.0


@pytest.mark.parametrize("name", ["article_features", "customer_features"])
def test_many_rows_agree_with_pandas_and_with_any_number_of_threads(name: str) -> None:
    rng = np.random.default_rng(0)
    n = 20_000
    days = pd.Timestamp(AS_OF) - pd.to_timedelta(rng.integers(0, 90, n), unit="D")
    frame = pd.DataFrame(
        {
            "ds": days.strftime("%Y-%m-%d"),
            "customer_id": rng.integers(0, 300, n).astype(str),
            "article_id": rng.integers(0, 200, n).astype(str),
            "kind": "purchase",
            "price": [f"{p:.9f}" for p in rng.lognormal(3, 1, n)],
            "channel": rng.choice(["web", "store"], n),
        }
    )
    key = name.removesuffix("_features") + "_id"
    entities = sorted(frame[key].unique())
    one, two = (_features(name, frame, entities, threads) for threads in (1, 2))
    pd.testing.assert_frame_equal(one, two, check_exact=True)
    prices = frame.assign(price=frame.price.astype(float)).groupby(key).price
    np.testing.assert_allclose(one.price_mean, prices.mean(), rtol=1e-12)
    np.testing.assert_allclose(one.price_std, prices.std(), rtol=1e-9)


@pytest.mark.parametrize("name", ["article_features", "customer_features"])
def test_the_deviation_of_great_prices_that_hardly_differ_does_not_cancel(name: str) -> None:
    prices = ["987654.000000001", "987654.000000002", "987654.000000003"]
    rows = [("2024-03-31", "e", "e", "purchase", price, "web") for price in prices]
    assert _features(name, _interactions(rows), ["e"]).loc["e"].price_std == pytest.approx(1e-9, rel=1e-12)


@pytest.mark.parametrize("name", ["article_features", "customer_features"])
def test_what_has_no_price_counts_as_a_sale_and_in_no_mean(name: str) -> None:
    """Rows without a channel and without a price still count; the mean and the deviation are of the two priced rows."""
    rows = [
        ("2024-03-31", "e", "e", "purchase", None, None),
        ("2024-03-31", "e", "e", "purchase", "1", None),
        ("2024-03-31", "e", "e", "purchase", "3", "web"),
    ]
    found = _features(name, _interactions(rows), ["e"]).loc["e"]
    assert found["sales" if name == "article_features" else "transactions"] == 3
    assert (found.price_mean, found.price_std) == (2.0, pytest.approx(np.sqrt(2)))


GREAT = "999999999.999999999"


@pytest.mark.parametrize("name", ["article_features", "customer_features"])
@pytest.mark.parametrize(
    ("prices", "deviation"),
    [
        (["900000000"] * 200, 0.0),
        ([GREAT] * 200, 0.0),
        # 400 at 0 and 400 at 9e8: each 4.5e8 from the mean, and the sum of squares is 1.62e20.
        (["0", "900000000"] * 400, 4.5e8 * np.sqrt(800 / 799)),
        (["0.123456789", GREAT] * 400, (999999999.999999999 - 0.123456789) / 2 * np.sqrt(800 / 799)),
        # The least part above and below a whole number: the whole units' and the parts' squares nearly cancel.
        (["899999999.999999999", "900000000.000000001"] * 200, 1e-9 * np.sqrt(400 / 399)),
        (["-899999999.999999999", "-900000000.000000001"] * 200, 1e-9 * np.sqrt(400 / 399)),
    ],
    ids=["equal", "greatest", "far apart", "far apart with parts", "near a whole number", "negative"],
)
def test_squares_of_great_prices_neither_overflow_nor_cancel(name: str, prices: list[str], deviation: float) -> None:
    rows = [("2024-03-31", "e", "e", "purchase", price, "web") for price in prices]
    found = [_features(name, _interactions(rows), ["e"], threads=threads) for threads in (1, 3)]
    assert found[0].loc["e"].price_std == pytest.approx(deviation, rel=1e-12, abs=1e-15)
    pd.testing.assert_frame_equal(*found, check_exact=True)
