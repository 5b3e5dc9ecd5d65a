-- The articles of the map: those with photographs; where they are too many, the $most with the smallest hashes.
SELECT article_id
FROM photographed
ORDER BY md5(article_id), article_id
LIMIT $most
