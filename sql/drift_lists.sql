-- The lists of every model for the $customers customers with the smallest hashes, under the policy that is served.
SELECT lists.model, lists.customer_id, lists.rank, lists.article_id, lists.fallback
FROM recommendations AS lists
SEMI JOIN (SELECT customer_id FROM customers ORDER BY md5(customer_id), customer_id LIMIT $customers) AS sample
    ON lists.customer_id = sample.customer_id
WHERE lists.seen = 'excluded'
ORDER BY lists.model, lists.customer_id, lists.rank
