-- Which values that nobody annotated the model now gives otherwise than on an earlier day, predicted_attributes_before,
-- and where it abstains now or no longer: of each kind of change the first $examples, with the number of all.
WITH pairs AS (
    SELECT
        article_id,
        attribute,
        earlier."value" AS value_before,
        later."value" AS value_after,
        earlier.source AS source_before,
        later.source AS source_after
    FROM predicted_attributes_before AS earlier JOIN predicted_attributes AS later USING (article_id, attribute)
    WHERE earlier.source <> 'annotated' AND later.source <> 'annotated'
),
changes AS (
    SELECT 'value_changed' AS what, article_id AS id, attribute, value_before AS "before", value_after AS "after"
    FROM pairs
    WHERE value_before <> value_after
    UNION ALL
    SELECT
        CASE WHEN source_after = 'abstained' THEN 'value_abstained' ELSE 'value_single' END,
        article_id, attribute, value_before, value_after
    FROM pairs
    WHERE source_before <> source_after
)
SELECT what, count(*) OVER (PARTITION BY what) AS total, id, attribute, "before", "after"
FROM changes
QUALIFY row_number() OVER (PARTITION BY what ORDER BY id, attribute) <= $examples
ORDER BY what, id, attribute
