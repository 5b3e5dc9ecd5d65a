-- What sales tell of each article, up to $as_of; the window is the $window days that end with it.
-- Source: the article features of the published H&M two-stage system.
-- Every mean and deviation comes from DECIMAL sums: sums of DOUBLE differ with the number of threads.
-- What adds up is counted once by article and channel, and numbers of distinct customers by article and customer:
-- that takes about three quarters of what count(DISTINCT) and a second look at the rows for their deviations took.
-- A price is its whole units and its part of one, so that the sums of their squares and products are exact and hold:
-- as one sum they would need more digits than a DECIMAL has from 200 prices of 9e8 on.
WITH sales AS (
    SELECT
        article_id,
        customer_id,
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
        article_id,
        channel,
        count(*) AS sales,
        min(ds) AS first_sale,
        max(ds) AS last_sale,
        sum(price) AS price_sum,
        sum(whole) AS whole_sum,
        sum(whole * whole) AS whole_squares,
        sum(whole * part) AS products,
        sum(part * part) AS part_squares,
        count(price) AS priced,
        count(*) FILTER (WHERE recent) AS sales_30d
    FROM sales
    GROUP BY article_id, channel
),
sums AS (
    SELECT
        article_id,
        CAST(sum(sales) AS BIGINT) AS sales,
        min(first_sale) AS first_sale,
        max(last_sale) AS last_sale,
        sum(price_sum) AS price_sum,
        sum(whole_sum) AS whole_sum,
        sum(whole_squares) AS whole_squares,
        sum(products) AS products,
        sum(part_squares) AS part_squares,
        CAST(sum(priced) AS BIGINT) AS priced,
        CAST(sum(sales_30d) AS BIGINT) AS sales_30d
    FROM by_channel
    GROUP BY article_id
),
-- Squares around a number near the mean are exact and small, so that nothing cancels: Σ(p − c)² = Σp² − c · (2Σp − nc),
-- apart for whole units, parts and their product.
centred AS (
    SELECT *, trunc(centre) AS whole_centre, centre - trunc(centre) AS part_centre, price_sum - whole_sum AS part_sum
    FROM (SELECT *, CAST(price_sum / nullif(priced, 0) AS DECIMAL(19, 9)) AS centre FROM sums) AS means
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
        CAST(price_sum - priced * centre AS DOUBLE) AS d,
        CASE WHEN whole_d2 < 1000000000000000000
            THEN CAST(whole_d2 + 2 * product_d2 + part_d2 AS DOUBLE)
            ELSE CAST(whole_d2 AS DOUBLE) + 2 * CAST(product_d2 AS DOUBLE) + CAST(part_d2 AS DOUBLE)
        END AS d2
    FROM deviations
),
medians AS (
    SELECT article_id, median(price) AS price_median
    FROM sales
    GROUP BY article_id
),
buyers AS (
    SELECT
        article_id,
        count(*) AS distinct_customers,
        count(*) FILTER (WHERE recent) AS distinct_customers_30d
    FROM (SELECT article_id, customer_id, bool_or(recent) AS recent FROM sales GROUP BY article_id, customer_id) AS pairs
    GROUP BY article_id
),
channels AS (
    SELECT article_id, channel
    FROM by_channel
    WHERE channel IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY article_id ORDER BY sales DESC, channel) = 1
)
SELECT
    articles.article_id,
    coalesce(totals.sales, 0) AS sales,
    totals.first_sale,
    totals.last_sale,
    coalesce(buyers.distinct_customers, 0) AS distinct_customers,
    CAST(totals.price_sum AS DOUBLE) / nullif(totals.priced, 0) AS price_mean,
    CASE WHEN totals.priced > 1
        THEN sqrt(greatest(totals.d2 - totals.d * totals.d / totals.priced, 0) / (totals.priced - 1))
    END AS price_std,
    CAST(medians.price_median AS DOUBLE) AS price_median,
    channels.channel AS most_common_channel,
    coalesce(totals.sales_30d, 0) AS sales_30d,
    coalesce(buyers.distinct_customers_30d, 0) AS distinct_customers_30d
FROM articles
LEFT JOIN totals USING (article_id)
LEFT JOIN medians USING (article_id)
LEFT JOIN buyers USING (article_id)
LEFT JOIN channels USING (article_id)
