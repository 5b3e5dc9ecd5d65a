-- The newest day of each table that the pages show, where it has any.
SELECT "table", min(ds) AS first_day, max(ds) AS last_day, count(DISTINCT ds) AS days
FROM materialisations
WHERE "table" IN ('articles', 'interactions', 'recommendations', 'offline_metrics', 'attribute_metrics')
GROUP BY "table"
ORDER BY "table"
