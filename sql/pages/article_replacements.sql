-- What is offered in place of one article that is out of stock; $places at most.
SELECT ds, rank, replacement_article_id, basis, similarity, price_ratio, reason
FROM latest_out_of_stock_replacement
WHERE article_id = $article AND rank <= $places
ORDER BY rank
