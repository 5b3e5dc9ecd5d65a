-- The nearest articles of one article by each model; $places of each.
SELECT ds, model, article_id, rank, similar_article_id, similarity
FROM latest_similar_articles
WHERE article_id = $article AND rank <= $places
ORDER BY model, rank
