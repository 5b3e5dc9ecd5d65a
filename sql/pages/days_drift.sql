-- How many figures of each day from $from_day on have each verdict.
SELECT ds, verdict, count(*) AS "value"
FROM drift
WHERE ds >= $from_day
GROUP BY ds, verdict
ORDER BY ds, verdict
