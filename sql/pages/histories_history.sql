-- What each customer did, sorted so that one customer's rows lie together, the oldest first.
INSERT INTO histories.history
SELECT hash(customer_id), customer_id, ds, ordinal, occurred_at, kind, article_id, price, channel
FROM interactions
ORDER BY hash(customer_id), customer_id, ds, ordinal
