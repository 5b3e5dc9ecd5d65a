-- Which figures of the recommenders there are on the newest judged day.
SELECT metric, k, segment, seen, count(*) AS models
FROM latest_offline_metrics
GROUP BY metric, k, segment, seen
ORDER BY metric, k, segment, seen
