-- What a business asks for, for windows of $windows days that end with $as_of and with each of the $before days before
-- it. $days are the days whose interactions are stored: a window with a day that is not stored has no figures.
-- Distinct customers of all these windows are counted in one pass: somebody who did something on day d, and next on day
-- n, counts in the windows of w days that end from d to min(n, d + w) − 1, and no window counts anybody twice. Who was
-- active in a window and also in the one before it follows from |A ∩ B| = |A| + |B| − |A ∪ B|: their union is the window
-- of twice the length.
-- Intervals of shares are Wilson's (1927), 95%.
WITH
ends AS (SELECT CAST($as_of AS DATE) - CAST(back AS INTEGER) AS "day" FROM range($before + 1) AS r(back)),
windows AS (SELECT CAST(w AS INTEGER) AS w FROM (SELECT unnest($windows) AS w) AS given),
stored AS (SELECT CAST(ds AS DATE) AS ds FROM (SELECT unnest(CAST($days AS DATE[])) AS ds) AS given),
lengths AS (SELECT w AS length FROM windows UNION SELECT 2 * w FROM windows),
asked AS (SELECT "day", w FROM ends, windows),
-- Ends of windows that are counted: those asked for, and those of the window before each.
counted AS (SELECT "day" FROM ends UNION SELECT "day" - w FROM asked),
recent AS (
    SELECT customer_id, article_id, kind, price, ds
    FROM interactions
    WHERE ds > CAST($as_of AS DATE) - CAST($before AS INTEGER) - (SELECT max(length) FROM lengths)
),
daily AS (
    SELECT
        ds,
        count(*) FILTER (WHERE kind = 'view') AS views,
        count(*) FILTER (WHERE kind = 'purchase') AS purchases,
        count(*) FILTER (WHERE kind = 'return') AS returns,
        count(price) FILTER (WHERE kind = 'purchase') AS priced,
        sum(price) FILTER (WHERE kind = 'purchase') AS revenue
    FROM recent
    GROUP BY ds
),
totals AS (
    SELECT
        asked."day",
        asked.w,
        coalesce(sum(views), 0) AS views,
        coalesce(sum(purchases), 0) AS purchases,
        coalesce(sum(returns), 0) AS returns,
        -- Of purchases without any price the revenue is not known; without purchases it is nothing.
        CASE WHEN coalesce(sum(purchases), 0) = 0 OR sum(priced) > 0 THEN coalesce(sum(revenue), 0) END AS revenue
    FROM asked LEFT JOIN daily ON ds > asked."day" - asked.w AND ds <= asked."day"
    GROUP BY ALL
),
viewed AS (SELECT DISTINCT customer_id, article_id, ds FROM recent WHERE kind = 'view'),
bought AS (SELECT DISTINCT customer_id, article_id, ds FROM recent WHERE kind = 'purchase'),
presence AS (
    SELECT DISTINCT 'active' AS measure, customer_id, '' AS article_id, ds FROM recent WHERE kind <> 'return'
    UNION ALL
    SELECT DISTINCT 'buyers', customer_id, '', ds FROM bought
    UNION ALL
    SELECT DISTINCT 'viewers', customer_id, '', ds FROM viewed
    UNION ALL
    SELECT 'viewed', customer_id, article_id, ds FROM viewed
),
spans AS (
    SELECT
        measure,
        ds AS since,
        ds AS "first",
        lead(ds) OVER (PARTITION BY measure, customer_id, article_id ORDER BY ds) AS "next"
    FROM presence
    UNION ALL
    -- A purchase counts as long as the window holds both it and the last view of the article before it.
    SELECT
        'converted',
        viewed.ds,
        bought.ds,
        lead(bought.ds) OVER (PARTITION BY bought.customer_id, bought.article_id ORDER BY bought.ds)
    FROM bought ASOF JOIN viewed
        ON bought.customer_id = viewed.customer_id AND bought.article_id = viewed.article_id AND bought.ds >= viewed.ds
),
changes AS (
    SELECT measure, length, "first" AS ds, count(*) AS change
    FROM spans, lengths
    WHERE since + length > "first"
    GROUP BY ALL
    UNION ALL
    SELECT measure, length, least(coalesce("next", since + length), since + length), -count(*)
    FROM spans, lengths
    WHERE since + length > "first"
    GROUP BY ALL
),
distinct_counts AS (
    SELECT measure, length, counted."day", CAST(sum(change) AS BIGINT) AS number
    FROM changes JOIN counted ON changes.ds <= counted."day"
    GROUP BY ALL
),
windowed AS (
    SELECT
        "day",
        length,
        coalesce(max(number) FILTER (WHERE measure = 'active'), 0) AS active,
        coalesce(max(number) FILTER (WHERE measure = 'buyers'), 0) AS buyers,
        coalesce(max(number) FILTER (WHERE measure = 'viewers'), 0) AS viewers,
        coalesce(max(number) FILTER (WHERE measure = 'viewed'), 0) AS viewed,
        coalesce(max(number) FILTER (WHERE measure = 'converted'), 0) AS converted
    FROM (SELECT "day", length FROM counted, lengths) AS every
    LEFT JOIN distinct_counts USING ("day", length)
    GROUP BY ALL
),
complete AS (
    SELECT counted."day", length, count(ds) = length AS whole
    FROM counted CROSS JOIN lengths
    LEFT JOIN stored ON ds > counted."day" - length AND ds <= counted."day"
    GROUP BY counted."day", length
),
-- How spending differs between the active customers of the windows that end with $as_of; four decimals, so that the
-- sum of squares is exact.
spread AS (
    SELECT
        w,
        CAST(count(*) AS DOUBLE) AS n,
        CAST(sum(spent) AS DOUBLE) AS total,
        CAST(sum(spent * spent) AS DOUBLE) AS squares
    FROM (
        SELECT
            w,
            customer_id,
            CAST(coalesce(sum(price) FILTER (WHERE kind = 'purchase'), 0) AS DECIMAL(18, 4)) AS spent
        FROM recent JOIN windows ON ds > CAST($as_of AS DATE) - w
        WHERE kind <> 'return'
        GROUP BY ALL
    ) AS spending
    GROUP BY w
),
figures AS (
    SELECT
        totals.*,
        this.active,
        this.buyers,
        this.viewers,
        this.viewed,
        this.converted,
        this.converted / nullif(this.viewed, 0) AS conversion,
        CASE WHEN doubled_whole.whole THEN earlier.active END AS earlier,
        CASE WHEN doubled_whole.whole THEN earlier.active + this.active - doubled.active END AS retained
    FROM totals
    JOIN windowed AS this ON this."day" = totals."day" AND this.length = totals.w
    JOIN windowed AS earlier ON earlier."day" = totals."day" - totals.w AND earlier.length = totals.w
    JOIN windowed AS doubled ON doubled."day" = totals."day" AND doubled.length = 2 * totals.w
    JOIN complete AS doubled_whole ON doubled_whole."day" = totals."day" AND doubled_whole.length = 2 * totals.w
    JOIN complete ON complete."day" = totals."day" AND complete.length = totals.w
    WHERE complete.whole
),
intervals AS (
    SELECT
        *,
        retained / nullif(earlier, 0) AS retention,
        -- Wilson: centre and half-width; of conversion each customer counts once, however many articles they viewed.
        1.959963984540054 AS z
    FROM figures
),
halves AS (
    SELECT
        *,
        (conversion + z * z / (2 * viewers)) / (1 + z * z / viewers) AS conversion_centre,
        z / (1 + z * z / viewers) * sqrt(conversion * (1 - conversion) / viewers + z * z / (4 * viewers * viewers))
            AS conversion_half,
        (retention + z * z / (2 * earlier)) / (1 + z * z / earlier) AS retention_centre,
        z / (1 + z * z / earlier) * sqrt(retention * (1 - retention) / earlier + z * z / (4 * earlier * earlier))
            AS retention_half
    FROM intervals
)
SELECT
    halves."day",
    halves.w AS window_days,
    views,
    purchases,
    returns,
    revenue,
    active AS active_customers,
    buyers,
    CAST(revenue AS DOUBLE) / nullif(active, 0) AS revenue_per_customer,
    CASE WHEN halves."day" = CAST($as_of AS DATE) AND spread.n > 1 AND revenue IS NOT NULL
        THEN sqrt(greatest(spread.squares - spread.total * spread.total / spread.n, 0) / (spread.n - 1) / spread.n)
    END AS revenue_per_customer_error,
    viewed AS viewed_articles,
    converted AS bought_after_view,
    conversion,
    CASE WHEN conversion IS NOT NULL THEN greatest(conversion_centre - conversion_half, 0) END AS conversion_low,
    CASE WHEN conversion IS NOT NULL THEN least(conversion_centre + conversion_half, 1) END AS conversion_high,
    earlier AS earlier_customers,
    retained AS retained_customers,
    retention,
    CASE WHEN retention IS NOT NULL THEN greatest(retention_centre - retention_half, 0) END AS retention_low,
    CASE WHEN retention IS NOT NULL THEN least(retention_centre + retention_half, 1) END AS retention_high,
    1 - retention AS churn
FROM halves LEFT JOIN spread ON spread.w = halves.w
ORDER BY halves."day", halves.w
