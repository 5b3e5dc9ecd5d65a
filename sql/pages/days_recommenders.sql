-- One figure of the recommenders on each judged day from $from_day to $to_day.
SELECT ds, model, "value", standard_error, customers
FROM offline_metrics
WHERE ds BETWEEN $from_day AND $to_day AND metric = $metric AND k = $k AND segment = $segment AND seen = $seen
ORDER BY ds, model
