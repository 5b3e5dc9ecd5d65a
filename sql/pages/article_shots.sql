-- The numbers of the photographs of one article; $most at most.
SELECT shot FROM latest_images WHERE article_id = $article ORDER BY shot LIMIT $most
