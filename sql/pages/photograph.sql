-- The file of one photograph, relative to the source's folder of images: of an article its first, or that of $shot.
SELECT path, digest FROM latest_images WHERE article_id = $article ORDER BY shot <> $shot, shot LIMIT 1
