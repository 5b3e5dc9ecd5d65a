-- What differs between the articles of the day and those of an earlier one, articles_before: of each kind of change the
-- first $examples, with the number of all.
WITH pairs AS (
    SELECT
        article_id,
        earlier.article_id IS NULL AS is_new,
        later.article_id IS NULL AS is_gone,
        rtrim(rtrim(CAST(earlier.price AS VARCHAR), '0'), '.') AS price_before,
        rtrim(rtrim(CAST(later.price AS VARCHAR), '0'), '.') AS price_after,
        earlier.in_stock AS stock_before,
        later.in_stock AS stock_after
    FROM articles_before AS earlier FULL JOIN articles AS later USING (article_id)
),
changes AS (
    SELECT 'article_new' AS what, article_id AS id, NULL AS "before", NULL AS "after" FROM pairs WHERE is_new
    UNION ALL
    SELECT 'article_gone', article_id, NULL, NULL FROM pairs WHERE is_gone
    UNION ALL
    SELECT 'article_price', article_id, price_before, price_after
    FROM pairs
    WHERE NOT is_new AND NOT is_gone AND price_before IS DISTINCT FROM price_after
    UNION ALL
    SELECT CASE WHEN stock_before THEN 'article_sold_out' ELSE 'article_back' END, article_id, NULL, NULL
    FROM pairs
    WHERE stock_before <> stock_after
)
SELECT what, count(*) OVER (PARTITION BY what) AS total, id, NULL AS attribute, "before", "after"
FROM changes
QUALIFY row_number() OVER (PARTITION BY what ORDER BY id) <= $examples
ORDER BY what, id
