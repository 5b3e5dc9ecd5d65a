-- The judged day that is newest, everyone together, at one list length.
SELECT ds, model, seen, metric, "value", standard_error, customers
FROM latest_offline_metrics
WHERE segment = 'all' AND k = $k
ORDER BY model, seen, metric
