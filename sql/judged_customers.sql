-- Whom all models are judged on: all customers, or a sample of them by a fixed hash that is the same on every day.
SELECT customer_id
FROM customers
QUALIFY row_number() OVER (ORDER BY md5(customer_id), customer_id) <= $size
ORDER BY customer_id
