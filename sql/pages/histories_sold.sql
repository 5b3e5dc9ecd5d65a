-- What each article sold on each day, sorted so that one article's rows lie together.
INSERT INTO histories.sold
SELECT hash(article_id), article_id, ds, count(*), sum(price)
FROM interactions
WHERE kind = 'purchase'
GROUP BY article_id, ds
ORDER BY hash(article_id), article_id, ds
