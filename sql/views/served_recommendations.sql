-- What customers are shown: the lists of the model that served on each day, with what is known of the articles then.
-- One row for each customer and place. fallback: the serving model knew too little of the customer, and the list is
-- popular's. Filter by ds: a day has a list for every customer.
SELECT
    listed.ds,
    listed.customer_id,
    listed.rank,
    listed.article_id,
    article.name,
    article.product_type,
    article.brand,
    article.price,
    article.in_stock,
    listed.score,
    listed.fallback,
    listed.model,
    listed.model_id
FROM recommendations AS listed
LEFT JOIN articles AS article USING (ds, article_id)
WHERE listed.served
