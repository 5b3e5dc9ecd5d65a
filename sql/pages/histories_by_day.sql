-- What happened on each day, of each kind.
INSERT INTO histories.by_day
SELECT ds, kind, count(*), count(DISTINCT customer_id), sum(price) FROM interactions GROUP BY ds, kind ORDER BY ds, kind
