-- What purchases tell of each customer, up to $as_of; the window is the $window days that end with it.
-- Source: the customer features of the published H&M two-stage system.
-- Every mean and deviation comes from DECIMAL sums: sums of DOUBLE differ with the number of threads.
-- What adds up is counted once by customer and channel, and numbers of distinct articles by customer and article:
-- that takes about three quarters of what count(DISTINCT) and a second look at the rows for their deviations took.
-- A price is its whole units and its part of one, so that the sums of their squares and products are exact and hold:
-- as one sum they would need more digits than a DECIMAL has from 200 prices of 9e8 on.
WITH purchases AS (
    SELECT
        customer_id,
        article_id,
        price,
        CAST(trunc(price) AS DECIMAL(9, 0)) AS whole,
        CAST(price - trunc(price) AS DECIMAL(9, 9)) AS part,
        channel,
        ds,
        ds > CAST($as_of AS DATE) - CAST($window AS INTEGER) AS recent
    FROM interactions
    WHERE kind = 'purchase'
),
by_channel AS (
    SELECT
        customer_id,
        channel,
        count(*) AS transactions,
        min(ds) AS first_purchase,
        max(ds) AS last_purchase,
        sum(price) AS total_spend,
        sum(whole) AS whole_sum,
        sum(whole * whole) AS whole_squares,
        sum(whole * part) AS products,
        sum(part * part) AS part_squares,
        count(price) AS priced,
        min(price) AS price_min,
        max(price) AS price_max,
        count(*) FILTER (WHERE recent) AS purchases_30d,
        sum(price) FILTER (WHERE recent) AS spend_30d,
        count(price) FILTER (WHERE recent) AS priced_30d
    FROM purchases
    GROUP BY customer_id, channel
),
sums AS (
    SELECT
        customer_id,
        CAST(sum(transactions) AS BIGINT) AS transactions,
        min(first_purchase) AS first_purchase,
        max(last_purchase) AS last_purchase,
        sum(total_spend) AS total_spend,
        sum(whole_sum) AS whole_sum,
        sum(whole_squares) AS whole_squares,
        sum(products) AS products,
        sum(part_squares) AS part_squares,
        CAST(sum(priced) AS BIGINT) AS priced,
        min(price_min) AS price_min,
        max(price_max) AS price_max,
        CAST(sum(purchases_30d) AS BIGINT) AS purchases_30d,
        sum(spend_30d) AS spend_30d,
        CAST(sum(priced_30d) AS BIGINT) AS priced_30d
    FROM by_channel
    GROUP BY customer_id
),
-- Squares around a number near the mean are exact and small, so that nothing cancels: Σ(p − c)² = Σp² − c · (2Σp − nc),
-- apart for whole units, parts and their product.
centred AS (
    SELECT *, trunc(centre) AS whole_centre, centre - trunc(centre) AS part_centre, total_spend - whole_sum AS part_sum
    FROM (SELECT *, CAST(total_spend / nullif(priced, 0) AS DECIMAL(19, 9)) AS centre FROM sums) AS means
),
deviations AS (
    SELECT
        *,
        whole_squares - whole_centre * (2 * whole_sum - priced * whole_centre) AS whole_d2,
        products - whole_centre * part_sum - part_centre * (whole_sum - priced * whole_centre) AS product_d2,
        part_squares - part_centre * (2 * part_sum - priced * part_centre) AS part_d2
    FROM centred
),
-- The three are added exactly where that fits in a DECIMAL; beyond, the whole units outweigh the others.
totals AS (
    SELECT
        *,
        CAST(total_spend - priced * centre AS DOUBLE) AS d,
        CASE WHEN whole_d2 < 1000000000000000000
            THEN CAST(whole_d2 + 2 * product_d2 + part_d2 AS DOUBLE)
            ELSE CAST(whole_d2 AS DOUBLE) + 2 * CAST(product_d2 AS DOUBLE) + CAST(part_d2 AS DOUBLE)
        END AS d2
    FROM deviations
),
bought AS (
    SELECT customer_id, count(*) AS distinct_articles
    FROM (SELECT DISTINCT customer_id, article_id FROM purchases) AS pairs
    GROUP BY customer_id
),
channels AS (
    SELECT customer_id, channel
    FROM by_channel
    WHERE channel IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY transactions DESC, channel) = 1
)
SELECT
    customers.customer_id,
    coalesce(totals.transactions, 0) AS transactions,
    totals.first_purchase,
    totals.last_purchase,
    CAST(totals.total_spend AS DOUBLE) / nullif(totals.priced, 0) AS price_mean,
    CASE WHEN totals.priced > 1
        THEN sqrt(greatest(totals.d2 - totals.d * totals.d / totals.priced, 0) / (totals.priced - 1))
    END AS price_std,
    totals.price_min,
    totals.price_max,
    coalesce(totals.total_spend, 0) AS total_spend,
    coalesce(bought.distinct_articles, 0) AS distinct_articles,
    channels.channel AS most_used_channel,
    coalesce(totals.last_purchase - totals.first_purchase + 1, 0) AS days_active,
    coalesce(totals.transactions / (totals.last_purchase - totals.first_purchase + 1), 0) AS purchase_frequency,
    coalesce(totals.purchases_30d, 0) AS purchases_30d,
    CAST(totals.spend_30d AS DOUBLE) / nullif(totals.priced_30d, 0) AS price_mean_30d,
    coalesce(totals.spend_30d, 0) AS spend_30d
FROM customers
LEFT JOIN totals USING (customer_id)
LEFT JOIN bought USING (customer_id)
LEFT JOIN channels USING (customer_id)
