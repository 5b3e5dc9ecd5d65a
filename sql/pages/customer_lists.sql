-- The newest lists of one customer by each model and policy, what they are shown first; $places of each. Where the
-- serving model failed its gates, its list of an earlier day, $made_on, stays: without what cannot be bought any more,
-- and tonight's fallback, if that passed, serves whom it has no list for, as in the view served_recommendations.
-- $made_on is null where nothing stays.
WITH stays AS (
    SELECT ds, model, seen, true AS served, rank, article_id, score, fallback, reasons
    FROM recommendations
    WHERE ds = CAST($made_on AS DATE) AND model = $model AND served AND customer_id = $customer AND rank <= $places
),
tonight AS (
    SELECT
        ds,
        model,
        seen,
        served AND ($made_on IS NULL OR (fallback AND NOT EXISTS (FROM stays) AND passed.model_id IS NOT NULL)) AS served,
        rank,
        article_id,
        score,
        fallback,
        reasons
    FROM latest_recommendations AS listed
    LEFT JOIN (SELECT ds, model_id FROM champions WHERE made_on = ds AND NOT serving) AS passed USING (ds, model_id)
    WHERE customer_id = $customer AND rank <= $places
)
SELECT * REPLACE (coalesce(reasons, []) AS reasons)
FROM (
    FROM tonight
    UNION ALL
    FROM stays SEMI JOIN (FROM latest_articles WHERE in_stock) AS sold USING (article_id)
)
ORDER BY served DESC, model, ds DESC, seen DESC, rank
