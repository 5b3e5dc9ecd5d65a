-- What the newest day says of one article, with what it sold and the customers that did (article_features).
SELECT article.*, features.sales_30d
FROM latest_articles AS article
LEFT JOIN (SELECT article_id, sales_30d FROM latest_article_features WHERE article_id = $article) AS features
    USING (article_id)
WHERE article_id = $article
