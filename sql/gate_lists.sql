-- What the gates ask of the lists of a day, by model: rows, those of articles that cannot be bought, how many articles the
-- lists that are the model's own hold between them, and how many articles are on sale. The stock of an article that
-- was never on sale is not known, and models that read content may recommend it. Where no article has a date, or one
-- without a date is in stock, a missing date means something else, and stock decides alone (as in_stock_mask of
-- atelier.recommenders.eligibility has it). `lists` is a view of the caller's:
-- model, owner (of the list), article_id, rank, fallback.
WITH known AS (
    SELECT
        article_id,
        in_stock
        OR (
            available_from IS NULL
            AND count(available_from) OVER () > 0
            AND count(*) FILTER (in_stock AND available_from IS NULL) OVER () = 0
        ) AS can_be_bought
    FROM articles
)
SELECT
    model,
    count(*) AS rows,
    count(*) FILTER (known.can_be_bought IS NOT TRUE) AS not_on_sale,
    count(DISTINCT article_id) FILTER (NOT fallback) AS articles,
    (SELECT count(*) FROM known WHERE can_be_bought) AS on_sale
FROM lists LEFT JOIN known USING (article_id)
GROUP BY model
ORDER BY model
