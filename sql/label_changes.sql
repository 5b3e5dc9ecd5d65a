-- What differs between the labels of the day and those of an earlier one, annotated_attributes_before: of each kind of
-- change the first $examples, with the number of all.
WITH changes AS (
    SELECT
        CASE
            WHEN earlier.article_id IS NULL THEN 'label_new'
            WHEN later.article_id IS NULL THEN 'label_gone'
            ELSE 'label_changed'
        END AS what,
        article_id AS id,
        attribute,
        earlier."value" AS "before",
        later."value" AS "after"
    FROM annotated_attributes_before AS earlier
    FULL JOIN annotated_attributes AS later USING (article_id, attribute)
    WHERE earlier."value" IS DISTINCT FROM later."value"
)
SELECT what, count(*) OVER (PARTITION BY what) AS total, id, attribute, "before", "after"
FROM changes
QUALIFY row_number() OVER (PARTITION BY what ORDER BY id, attribute) <= $examples
ORDER BY what, id, attribute
