-- What the newest day says of one customer.
SELECT ds, customer_id, age, profile FROM latest_customers WHERE customer_id = $customer
