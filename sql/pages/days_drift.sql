-- How many figures of each day from $from_day to $to_day have each verdict.
SELECT ds, verdict, count(*) AS "value"
FROM drift
WHERE ds BETWEEN $from_day AND $to_day
GROUP BY ds, verdict
ORDER BY ds, verdict
