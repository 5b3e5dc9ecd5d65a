-- The newest interactions of one customer: from the sorted file, and of the days that it lacks ($missing, none of them
-- before $since) from the store's own files.
SELECT ds, occurred_at, kind, article_id, price, channel
FROM (
    SELECT ds, ordinal, occurred_at, kind, article_id, price, channel
    FROM histories.history
    WHERE customer = hash($customer) AND customer_id = $customer AND NOT list_contains($superseded, ds)
    UNION ALL
    SELECT ds, ordinal, occurred_at, kind, article_id, price, channel
    FROM interactions
    WHERE ds >= $since AND list_contains($missing, ds) AND customer_id = $customer
) AS rows_of_customer
ORDER BY ds DESC, ordinal DESC
LIMIT $most
