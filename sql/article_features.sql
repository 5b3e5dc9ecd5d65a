-- What sales tell of each article, up to $as_of; the window is the $window days that end with it.
-- Source: the article features of the published H&M two-stage system.
-- Every mean and deviation comes from DECIMAL sums: sums of DOUBLE differ with the number of threads.
-- What adds up is counted once by article and channel, and numbers of distinct customers by article and customer:
-- that takes less than half of what count(DISTINCT) and a second look at the rows for their deviations took.
WITH sales AS (
    SELECT article_id, customer_id, price, channel, ds, ds > CAST($as_of AS DATE) - CAST($window AS INTEGER) AS recent
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
        sum(price * price) AS price_squares,
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
        sum(price_squares) AS price_squares,
        CAST(sum(priced) AS BIGINT) AS priced,
        CAST(sum(sales_30d) AS BIGINT) AS sales_30d
    FROM by_channel
    GROUP BY article_id
),
-- Squares around a number near the mean are exact and small, so that nothing cancels: Σ(p − c)² = Σp² − c · (2Σp − nc).
totals AS (
    SELECT
        *,
        CAST(price_sum - priced * centre AS DOUBLE) AS d,
        CAST(price_squares - centre * (2 * price_sum - priced * centre) AS DOUBLE) AS d2
    FROM (SELECT *, CAST(price_sum / nullif(priced, 0) AS DECIMAL(18, 9)) AS centre FROM sums) AS centred
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
