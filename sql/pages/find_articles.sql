-- Articles whose identifier is $text or begins with it.
SELECT article_id, name, product_type, price, in_stock
FROM latest_articles
WHERE article_id >= $text AND starts_with(article_id, $text)
ORDER BY article_id
LIMIT $most
