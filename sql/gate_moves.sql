-- How far the lists of each model moved: the mean over the owners of 1 − |A ∩ B| / |A ∪ B| of the first $ranks articles
-- earlier and tonight, and over how many owners. `tonight` and `earlier` are relations of the caller's: model, owner,
-- article_id, rank; an owner who has a list in one of them only does not count.
WITH new AS (SELECT model, owner, article_id FROM tonight WHERE rank <= $ranks),
old AS (SELECT model, owner, article_id FROM earlier WHERE rank <= $ranks),
sizes AS (
    SELECT model, owner, n, m
    FROM (SELECT model, owner, count(*) AS n FROM new GROUP BY ALL)
    JOIN (SELECT model, owner, count(*) AS m FROM old GROUP BY ALL) USING (model, owner)
),
shared AS (SELECT model, owner, count(*) AS s FROM new JOIN old USING (model, owner, article_id) GROUP BY ALL)
SELECT
    model,
    1 - CAST(sum(CAST(coalesce(s, 0) / (n + m - coalesce(s, 0)) AS DECIMAL(18, 9))) AS DOUBLE) / count(*) AS moved,
    count(*) AS owners
FROM sizes LEFT JOIN shared USING (model, owner)
GROUP BY model
ORDER BY model
