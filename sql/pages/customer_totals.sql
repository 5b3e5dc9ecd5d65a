-- How much one customer did, of each kind; the parameters are those of customer_history.
SELECT kind, count(*) AS units, count(DISTINCT ds) AS days, min(ds) AS first_day, max(ds) AS last_day, sum(price) AS total
FROM (
    SELECT ds, kind, price
    FROM histories.history
    WHERE customer = hash($customer) AND customer_id = $customer AND NOT list_contains($superseded, ds)
    UNION ALL
    SELECT ds, kind, price
    FROM interactions
    WHERE ds >= $since AND list_contains($missing, ds) AND customer_id = $customer
) AS rows_of_customer
GROUP BY kind
ORDER BY kind
