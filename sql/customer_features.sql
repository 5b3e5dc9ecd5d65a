-- What purchases tell of each customer, up to $as_of; the window is the $window days that end with it.
-- Source: the customer features of the published H&M two-stage system.
-- Every mean and deviation comes from DECIMAL sums: sums of DOUBLE differ with the number of threads.
WITH purchases AS (
    SELECT customer_id, article_id, price, channel, ds, ds > CAST($as_of AS DATE) - CAST($window AS INTEGER) AS recent
    FROM interactions
    WHERE kind = 'purchase'
),
totals AS (
    SELECT
        customer_id,
        count(*) AS transactions,
        min(ds) AS first_purchase,
        max(ds) AS last_purchase,
        sum(price) AS total_spend,
        count(price) AS priced,
        min(price) AS price_min,
        max(price) AS price_max,
        count(DISTINCT article_id) AS distinct_articles,
        count(*) FILTER (WHERE recent) AS purchases_30d,
        sum(price) FILTER (WHERE recent) AS spend_30d,
        count(price) FILTER (WHERE recent) AS priced_30d
    FROM purchases
    GROUP BY customer_id
),
-- Deviations from the lowest price are small and exact, so their squares neither overflow nor cancel.
deviations AS (
    SELECT
        customer_id,
        CAST(sum(price - price_min) AS DOUBLE) AS d,
        CAST(sum((price - price_min) * (price - price_min)) AS DOUBLE) AS d2
    FROM purchases JOIN totals USING (customer_id)
    GROUP BY customer_id
),
channels AS (
    SELECT customer_id, channel
    FROM purchases
    WHERE channel IS NOT NULL
    GROUP BY customer_id, channel
    QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY count(*) DESC, channel) = 1
)
SELECT
    customers.customer_id,
    coalesce(totals.transactions, 0) AS transactions,
    totals.first_purchase,
    totals.last_purchase,
    CAST(totals.total_spend AS DOUBLE) / nullif(totals.priced, 0) AS price_mean,
    CASE WHEN totals.priced > 1
        THEN sqrt(greatest(deviations.d2 - deviations.d * deviations.d / totals.priced, 0) / (totals.priced - 1))
    END AS price_std,
    totals.price_min,
    totals.price_max,
    coalesce(totals.total_spend, 0) AS total_spend,
    coalesce(totals.distinct_articles, 0) AS distinct_articles,
    channels.channel AS most_used_channel,
    coalesce(totals.last_purchase - totals.first_purchase + 1, 0) AS days_active,
    coalesce(totals.transactions / (totals.last_purchase - totals.first_purchase + 1), 0) AS purchase_frequency,
    coalesce(totals.purchases_30d, 0) AS purchases_30d,
    CAST(totals.spend_30d AS DOUBLE) / nullif(totals.priced_30d, 0) AS price_mean_30d,
    coalesce(totals.spend_30d, 0) AS spend_30d
FROM customers
LEFT JOIN totals USING (customer_id)
LEFT JOIN deviations USING (customer_id)
LEFT JOIN channels USING (customer_id)
