-- Who is a customer on the day and was none on an earlier one, customers_before, or the other way round: of each kind
-- the first $examples, with the number of all.
WITH changes AS (
    SELECT 'customer_new' AS what, customer_id AS id FROM customers ANTI JOIN customers_before USING (customer_id)
    UNION ALL
    SELECT 'customer_gone', customer_id FROM customers_before ANTI JOIN customers USING (customer_id)
)
SELECT what, count(*) OVER (PARTITION BY what) AS total, id, NULL AS attribute, NULL AS "before", NULL AS "after"
FROM changes
QUALIFY row_number() OVER (PARTITION BY what ORDER BY id) <= $examples
ORDER BY what, id
