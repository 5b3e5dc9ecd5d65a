-- What customers are shown: the lists of the model that served on each day, with what is known of the articles then.
-- One row for each customer and place. fallback: the serving model knew too little of the customer, and the list is
-- popular's. made_on: an earlier day where the serving model of ds failed its gates, or has not been through them: then
-- the lists of the newest day that passed stay, without what cannot be bought any more, and customers who had none get
-- the fallback's, if that passed. Where no day up to ds ever passed, its own lists are shown. Filter by ds: a day has a
-- list for every customer.
WITH known AS (
    SELECT ds FROM materialisations WHERE "table" IN ('recommendations', 'champions') GROUP BY ds
),
stays AS (
    SELECT known.ds, passed.model, passed.ds AS made_on
    FROM known ASOF JOIN passed_lists AS passed ON known.ds >= passed.ds
    WHERE passed.ds <> known.ds
),
listed AS (
    SELECT *, ds AS made_on FROM recommendations ANTI JOIN stays USING (ds) WHERE served
    UNION ALL BY NAME
    SELECT earlier.* REPLACE (stays.ds AS ds), stays.made_on
    FROM stays
    JOIN recommendations AS earlier ON earlier.ds = stays.made_on AND earlier.model = stays.model
    JOIN articles AS article ON article.ds = stays.ds AND article.article_id = earlier.article_id
    WHERE earlier.served AND article.in_stock
    UNION ALL BY NAME
    SELECT tonight.*, tonight.ds AS made_on
    FROM stays
    JOIN recommendations AS tonight ON tonight.ds = stays.ds
    JOIN champions AS popular
        ON popular.ds = stays.ds AND popular.model_id = tonight.model_id AND popular.made_on = popular.ds
    ANTI JOIN recommendations AS earlier
        ON earlier.ds = stays.made_on AND earlier.customer_id = tonight.customer_id AND earlier.served
    WHERE tonight.served AND tonight.fallback AND NOT popular.serving
)
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
    listed.model_id,
    listed.made_on
FROM listed
LEFT JOIN articles AS article USING (ds, article_id)
