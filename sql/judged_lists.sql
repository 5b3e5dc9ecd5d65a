-- Whom all models can be judged on: the customers with a list of every model under both policies, and no others.
WITH lists AS (SELECT DISTINCT model, seen, customer_id FROM recommendations WHERE rank = 1)
SELECT customer_id
FROM lists
GROUP BY customer_id
HAVING count(*) = (SELECT count(*) FROM (SELECT DISTINCT model, seen FROM lists))
ORDER BY customer_id
