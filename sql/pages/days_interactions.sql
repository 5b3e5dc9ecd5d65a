-- What happened on each day from $from_day to $to_day, of each kind; $superseded, $missing and $since as in customer_history.
SELECT ds, kind, units, customers, revenue
FROM histories.by_day
WHERE ds BETWEEN $from_day AND $to_day AND NOT list_contains($superseded, ds)
UNION ALL
SELECT ds, kind, count(*) AS units, count(DISTINCT customer_id) AS customers, sum(price) AS revenue
FROM interactions
WHERE ds >= $since AND ds BETWEEN $from_day AND $to_day AND list_contains($missing, ds)
GROUP BY ds, kind
ORDER BY ds, kind
