-- Names and first photographs of the articles $articles.
SELECT article.article_id, article.name, photograph.path
FROM latest_articles AS article
LEFT JOIN (
    SELECT article_id, arg_min(path, shot) AS path
    FROM latest_images
    WHERE article_id IN (SELECT unnest($articles))
    GROUP BY article_id
) AS photograph USING (article_id)
WHERE article_id IN (SELECT unnest($articles))
