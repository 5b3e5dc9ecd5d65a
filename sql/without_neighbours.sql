-- How many articles of the day have no similar article, by model; the row without a model counts those that no model
-- has neighbours of.
WITH near AS (SELECT DISTINCT model, article_id FROM similar_articles SEMI JOIN articles USING (article_id))
SELECT model, (SELECT count(*) FROM articles) - count(*) AS without FROM near GROUP BY model
UNION ALL
SELECT NULL, (SELECT count(*) FROM articles ANTI JOIN near USING (article_id))
ORDER BY model NULLS LAST
