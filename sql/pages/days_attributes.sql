-- One figure of each attribute on each day from $from_day to $to_day.
SELECT ds, attribute, "value"
FROM attribute_metrics
WHERE ds BETWEEN $from_day AND $to_day AND metric = $metric
ORDER BY ds, attribute
