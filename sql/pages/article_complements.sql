-- What goes with one article; $places of each list.
SELECT ds, list, article_id, rank, complement_article_id, score, reason
FROM latest_complementary_articles
WHERE article_id = $article AND rank <= $places
ORDER BY list, rank
