-- What customers did after the day $origin: what its recommendations are judged by. With purchases come the returns that
-- cancel them (atelier/returns.py).
SELECT customer_id, article_id, occurred_at, kind
FROM interactions
WHERE ds > $origin AND (list_contains($kinds, kind) OR (kind = 'return' AND list_contains($kinds, 'purchase')))
ORDER BY ds, ordinal
