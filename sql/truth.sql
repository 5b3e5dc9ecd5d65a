-- What customers did after the day $origin: what its recommendations are judged by.
SELECT customer_id, article_id, occurred_at, kind
FROM interactions
WHERE ds > $origin AND list_contains($kinds, kind)
ORDER BY ds, ordinal
