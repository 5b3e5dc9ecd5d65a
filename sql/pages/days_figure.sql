-- One figure of the data on each day from $from_day to $to_day, level by level; shares and counts of levels as shares of 1.
SELECT
    ds,
    level,
    CASE WHEN kind IN ('share', 'shares', 'times') THEN "value" / sample_size ELSE "value" END AS "value",
    sample_size
FROM day_figures
WHERE ds BETWEEN $from_day AND $to_day AND name = $figure
ORDER BY ds, level
