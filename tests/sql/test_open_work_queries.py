"""What needs a person: abstained values that sell, and articles that no list shows."""

from datetime import date

import duckdb

from sql import query

DS = date(2025, 6, 30)


def test_abstained_values_of_what_sold_come_first_where_most_sold() -> None:
    with duckdb.connect() as con:
        con.execute("CREATE TABLE interactions (article_id VARCHAR, kind VARCHAR, ds DATE)")
        con.execute(
            "INSERT INTO interactions VALUES ('a', 'purchase', '2025-06-30'), ('b', 'purchase', '2025-06-03'),"
            " ('b', 'purchase', '2025-06-10'), ('c', 'purchase', '2025-06-02'), ('d', 'view', '2025-06-30')"
        )
        con.execute(
            "CREATE TABLE predicted_attributes AS SELECT *, 'fit' AS attribute, 'slim' AS \"value\", 0.5 AS confidence"
            " FROM (VALUES ('a', 'abstained'), ('b', 'abstained'), ('c', 'abstained'), ('d', 'abstained'),"
            " ('e', 'predicted')) AS given(article_id, source)"
        )
        params = {"as_of": DS, "window": 28, "rows": 1}
        found = con.execute(query("abstained_sellers"), params).fetchall()
    assert found == [(2, "b", "fit", "slim", found[0][4], 2)]  # c sold 28 days before the window ends, d did not sell


def test_articles_in_no_list_come_before_those_beside_others() -> None:
    with duckdb.connect() as con:
        con.execute(
            "CREATE TABLE articles AS SELECT *, 'Top' AS product_type, 1 AS price FROM (VALUES"
            " ('shown', true, DATE '2025-01-01'), ('beside', true, DATE '2025-06-01'), ('old', true, NULL),"
            " ('new', true, DATE '2025-05-01'), ('sold out', false, NULL))"
            " AS given(article_id, in_stock, available_from)"
        )
        con.execute("CREATE TABLE shown AS SELECT 'shown' AS article_id")
        con.execute("CREATE TABLE beside AS SELECT unnest(['beside', 'beside', 'shown']) AS article_id")
        rows = con.execute(query("unlisted_articles"), {"rows": 10}).fetchall()
    assert [(row[2], row[-1]) for row in rows] == [("new", True), ("old", True), ("beside", False)]
    assert {row[:2] for row in rows} == {(3, 2)}
