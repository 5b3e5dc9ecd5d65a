-- What sales tell of each article, up to $as_of; the window is the $window days that end with it.
-- Source: the article features of the published H&M two-stage system.
-- Every mean and deviation comes from DECIMAL sums: sums of DOUBLE differ with the number of threads.
WITH sales AS (
    SELECT article_id, customer_id, price, channel, ds, ds > CAST($as_of AS DATE) - CAST($window AS INTEGER) AS recent
    FROM interactions
    WHERE kind = 'purchase'
),
totals AS (
    SELECT
        article_id,
        count(*) AS sales,
        min(ds) AS first_sale,
        max(ds) AS last_sale,
        count(DISTINCT customer_id) AS distinct_customers,
        sum(price) AS price_sum,
        count(price) AS priced,
        min(price) AS price_min,
        median(price) AS price_median,
        count(*) FILTER (WHERE recent) AS sales_30d,
        count(DISTINCT customer_id) FILTER (WHERE recent) AS distinct_customers_30d
    FROM sales
    GROUP BY article_id
),
-- Deviations from the lowest price are small and exact, so their squares neither overflow nor cancel.
deviations AS (
    SELECT
        article_id,
        CAST(sum(price - price_min) AS DOUBLE) AS d,
        CAST(sum((price - price_min) * (price - price_min)) AS DOUBLE) AS d2
    FROM sales JOIN totals USING (article_id)
    GROUP BY article_id
),
channels AS (
    SELECT article_id, channel
    FROM sales
    WHERE channel IS NOT NULL
    GROUP BY article_id, channel
    QUALIFY row_number() OVER (PARTITION BY article_id ORDER BY count(*) DESC, channel) = 1
)
SELECT
    articles.article_id,
    coalesce(totals.sales, 0) AS sales,
    totals.first_sale,
    totals.last_sale,
    coalesce(totals.distinct_customers, 0) AS distinct_customers,
    CAST(totals.price_sum AS DOUBLE) / nullif(totals.priced, 0) AS price_mean,
    CASE WHEN totals.priced > 1
        THEN sqrt(greatest(deviations.d2 - deviations.d * deviations.d / totals.priced, 0) / (totals.priced - 1))
    END AS price_std,
    CAST(totals.price_median AS DOUBLE) AS price_median,
    channels.channel AS most_common_channel,
    coalesce(totals.sales_30d, 0) AS sales_30d,
    coalesce(totals.distinct_customers_30d, 0) AS distinct_customers_30d
FROM articles
LEFT JOIN totals USING (article_id)
LEFT JOIN deviations USING (article_id)
LEFT JOIN channels USING (article_id)
