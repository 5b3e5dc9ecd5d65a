-- The first $ranks places of the lists that have reasons, of the $customers customers whom most models explain; of
-- those the ones with the smallest hashes, the same on every day.
WITH explained AS (
    SELECT model, customer_id, rank, article_id, reasons
    FROM recommendations
    WHERE seen = $seen AND rank <= $ranks AND reasons IS NOT NULL
),
shown AS (
    SELECT customer_id
    FROM explained
    WHERE rank = 1
    GROUP BY customer_id
    QUALIFY row_number() OVER (ORDER BY count(*) DESC, md5(customer_id), customer_id) <= $customers
)
SELECT model, customer_id, rank, article_id, reasons
FROM explained SEMI JOIN shown USING (customer_id)
ORDER BY customer_id, model, rank
