-- What recommenders learn from: everything of the kinds $kinds that customers did up to as_of, in the source's order.
SELECT customer_id, article_id, occurred_at, kind
FROM interactions
WHERE list_contains($kinds, kind)
ORDER BY ds, ordinal
