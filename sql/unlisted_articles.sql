-- Articles that can be bought and that no customer's list shows: the first $rows of them, with the number of all and of
-- those that no list beside another article shows either; these come first, and of them the newest. `shown` and `beside`
-- are views of the caller's with the column article_id: what served recommendations hold, and what lists of similar
-- and complementary articles hold.
WITH unlisted AS (
    SELECT articles.article_id, available_from, product_type, price, beside.article_id IS NULL AS nowhere
    FROM articles
    ANTI JOIN shown USING (article_id)
    LEFT JOIN (SELECT DISTINCT article_id FROM beside) AS beside ON beside.article_id = articles.article_id
    WHERE in_stock
)
SELECT
    count(*) OVER () AS total,
    count(*) FILTER (WHERE nowhere) OVER () AS total_nowhere,
    article_id,
    product_type,
    price,
    available_from,
    nowhere
FROM unlisted
ORDER BY nowhere DESC, available_from DESC NULLS LAST, article_id
LIMIT $rows
