-- What recommenders learn from: everything of the kinds $kinds that customers did up to as_of, with when it came.
-- With purchases come the returns that cancel them (atelier/returns.py).
SELECT customer_id, article_id, occurred_at, kind, ds, ordinal
FROM interactions
WHERE list_contains($kinds, kind) OR (kind = 'return' AND list_contains($kinds, 'purchase'))
