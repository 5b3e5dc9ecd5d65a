-- Whom the lists of each model serve under the policy that more customers have lists of: everybody with a list, those
-- whose list is the fallback's, and those of them who never did anything of the kinds $kinds that the model learns from.
WITH known AS (SELECT DISTINCT customer_id, true AS known FROM interactions WHERE list_contains($kinds, kind)),
counted AS (
    SELECT
        model,
        seen,
        count(*) AS customers,
        count(*) FILTER (WHERE fallback) AS fallback,
        count(*) FILTER (WHERE fallback AND known IS NULL) AS without_history
    FROM recommendations LEFT JOIN known USING (customer_id)
    WHERE rank = 1
    GROUP BY model, seen
)
SELECT model, customers, fallback, without_history
FROM counted
QUALIFY row_number() OVER (PARTITION BY model ORDER BY customers DESC, seen DESC) = 1
ORDER BY model
