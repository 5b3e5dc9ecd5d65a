-- Values that the model left open (abstained), of articles that sold within the $window days that end with $as_of: the
-- first $rows of them, best sellers first, with the number of all.
WITH sold AS (
    SELECT article_id, count(*) AS units
    FROM interactions
    WHERE kind = 'purchase' AND ds > CAST($as_of AS DATE) - CAST($window AS INTEGER)
    GROUP BY article_id
)
SELECT
    count(*) OVER () AS total,
    article_id,
    attribute,
    "value",
    confidence,
    units
FROM predicted_attributes JOIN sold USING (article_id)
WHERE source = 'abstained'
ORDER BY units DESC, article_id, attribute
LIMIT $rows
