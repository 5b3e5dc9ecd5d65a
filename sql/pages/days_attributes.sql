-- One figure of each attribute on each day from $from_day on.
SELECT ds, attribute, "value"
FROM attribute_metrics
WHERE ds >= $from_day AND metric = $metric
ORDER BY ds, attribute
