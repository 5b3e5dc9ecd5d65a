-- What is read of each article on ds: text, metadata, and the digests of its encoded photographs in order of shots.
WITH shots AS (
    SELECT images.article_id, list(images.digest ORDER BY images.shot) AS image_digests
    FROM images JOIN image_embeddings USING (digest)
    GROUP BY images.article_id
)
SELECT
    articles.article_id,
    articles.product_code,
    articles.name,
    articles.description,
    articles.product_type,
    articles.brand,
    articles.division,
    CAST(articles.price AS DOUBLE) AS price,
    articles.available_from,
    coalesce(shots.image_digests, []) AS image_digests
FROM articles LEFT JOIN shots USING (article_id)
ORDER BY articles.article_id
