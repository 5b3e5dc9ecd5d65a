-- How many articles there are on the day, and how many of them have no similar article, by model; the row without a model
-- counts those that no model has neighbours of.
WITH near AS (SELECT DISTINCT model, article_id FROM similar_articles SEMI JOIN articles USING (article_id)),
total AS (SELECT count(*) AS articles FROM articles)
SELECT model, any_value(articles) AS articles, any_value(articles) - count(*) AS without
FROM near CROSS JOIN total
GROUP BY model
UNION ALL
SELECT NULL, articles, (SELECT count(*) FROM articles ANTI JOIN near USING (article_id)) FROM total
ORDER BY model NULLS LAST
