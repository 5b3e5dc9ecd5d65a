-- A few values of the day for which people ask where they come from: at most one row for each reason.
(SELECT 1 AS place, 'the least certain' AS why, article_id, attribute FROM predicted_attributes
 WHERE source = 'predicted' ORDER BY confidence, article_id, attribute LIMIT 1)
UNION ALL
(SELECT 2, 'the most certain', article_id, attribute FROM predicted_attributes
 WHERE source = 'predicted' ORDER BY confidence DESC, article_id, attribute LIMIT 1)
UNION ALL
(SELECT 3, 'abstained', article_id, attribute FROM predicted_attributes
 WHERE source = 'abstained' ORDER BY confidence, article_id, attribute LIMIT 1)
UNION ALL
(SELECT 4, 'people say otherwise', article_id, attribute FROM predicted_attributes
 WHERE source = 'annotated' AND prediction <> "value" ORDER BY confidence DESC, article_id, attribute LIMIT 1)
ORDER BY place
