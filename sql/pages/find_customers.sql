-- Customers whose identifier is $text or begins with it.
SELECT customer_id, age
FROM latest_customers
WHERE customer_id >= $text AND starts_with(customer_id, $text)
ORDER BY customer_id
LIMIT $most
