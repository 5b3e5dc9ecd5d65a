-- What one article sold in each week, by its Monday: from the sorted file, and of the days that it lacks ($missing, none
-- of them before $since) from the store's own files. Weeks without a sale have no row.
SELECT CAST(date_trunc('week', ds) AS DATE) AS week, sum(units) AS units, sum(revenue) AS revenue
FROM (
    SELECT ds, units, revenue
    FROM histories.sold
    WHERE article = hash($article) AND article_id = $article AND NOT list_contains($superseded, ds)
    UNION ALL
    SELECT ds, 1 AS units, price AS revenue
    FROM interactions
    WHERE ds >= $since AND list_contains($missing, ds) AND article_id = $article AND kind = 'purchase'
) AS sales
GROUP BY week
ORDER BY week
