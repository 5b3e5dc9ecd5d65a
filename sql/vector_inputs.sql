-- What article vectors are made of, besides text, photographs and attributes.
SELECT
    articles.article_id,
    articles.product_type,
    CAST(articles.price AS DOUBLE) AS price,
    articles.available_from,
    article_features.first_sale,
    article_features.sales_30d
FROM articles JOIN article_features USING (article_id)
ORDER BY articles.article_id
