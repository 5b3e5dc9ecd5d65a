-- What sold on each day, by attribute and value: how do floral dresses sell? Purchases only.
-- A sale is described by what is known of its article now (the newest predicted_attributes and articles), on whichever
-- day it was sold: values are corrected over time, and history should tell of the garment, not of the label it had then.
-- source tells apart what people annotated, what the model predicted and what it left open (abstained).
-- units counts units sold; revenue is the sum of the prices paid, null where none is known; articles counts the
-- different articles sold on that day, so it cannot be added up over days. An article appears once under each of its
-- attributes: add up over the values of one attribute, never over attributes. Sales of articles without the attribute
-- are not in its rows.
SELECT
    sold.ds,
    article.product_type,
    described.attribute,
    described."value",
    described.source,
    count(*) AS units,
    CAST(sum(sold.price) AS DECIMAL(38, 9)) AS revenue,
    count(DISTINCT sold.article_id) AS articles
FROM interactions AS sold
JOIN latest_predicted_attributes AS described USING (article_id)
LEFT JOIN latest_articles AS article USING (article_id)
-- Not summed by article first: a question names an attribute, a value or a type, and so reads a few articles only.
WHERE sold.kind = 'purchase'
GROUP BY ALL
