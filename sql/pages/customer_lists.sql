-- The newest lists of one customer by each model and policy, the served one first; $places of each.
SELECT ds, model, seen, served, rank, article_id, score, fallback, coalesce(reasons, []) AS reasons
FROM latest_recommendations
WHERE customer_id = $customer AND rank <= $places
ORDER BY served DESC, model, seen DESC, rank
