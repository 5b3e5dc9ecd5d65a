-- Units sold in each of the 7-day weeks that end with $as_of, by attribute and value, beside a seasonal-naive forecast:
-- the same value's sales one season earlier (Hyndman & Athanasopoulos, Forecasting: Principles and Practice, 5.2). The
-- season is 52 weeks where the weeks of last year are stored that the forecasts of this week and the next repeat, else
-- one week. $days are the days whose interactions are stored; a week with a day that is not stored says nothing.
-- What the forecast would have missed is measured on the last $weeks weeks: MAE, and MASE (Hyndman & Koehler 2006): MAE
-- over that of repeating the week before, on the same weeks.
WITH
stored AS (SELECT CAST(ds AS DATE) AS ds FROM (SELECT unnest(CAST($days AS DATE[])) AS ds) AS given),
-- Weeks are counted back from 0, the one that ends with $as_of.
whole AS (
    SELECT (CAST($as_of AS DATE) - ds) // 7 AS week
    FROM stored
    WHERE ds <= CAST($as_of AS DATE)
    GROUP BY ALL
    HAVING count(*) = 7
),
season AS (SELECT CASE WHEN count(*) = 2 THEN 52 ELSE 1 END AS lag FROM whole WHERE week IN (51, 52)),
sold AS (
    SELECT article_id, (CAST($as_of AS DATE) - ds) // 7 AS week, count(*) AS units, sum(price) AS revenue
    FROM interactions
    WHERE kind = 'purchase' AND ds > CAST($as_of AS DATE) - 7 * (CAST($weeks AS INTEGER) + 53)
    GROUP BY ALL
),
weekly AS (
    SELECT
        attribute,
        "value",
        week,
        sum(units) AS units,
        sum(revenue) AS revenue,
        coalesce(sum(units) FILTER (WHERE source = 'abstained'), 0) AS abstained_units
    FROM sold JOIN predicted_attributes USING (article_id)
    GROUP BY ALL
),
described AS (SELECT DISTINCT attribute, "value" FROM predicted_attributes),
-- What sold nothing in a stored week sold 0; of a week that is not wholly stored nothing is known.
grid AS (
    SELECT
        attribute,
        "value",
        week,
        CASE WHEN week IN (SELECT week FROM whole) THEN coalesce(units, 0) END AS units
    FROM described CROSS JOIN (SELECT CAST(week AS INTEGER) AS week FROM range($weeks + 53) AS r(week)) AS weeks
    LEFT JOIN weekly USING (attribute, "value", week)
),
compared AS (
    SELECT
        attribute,
        "value",
        week,
        units,
        lag(units, 1) OVER earlier AS before,
        CASE WHEN (SELECT lag FROM season) = 52 THEN lag(units, 52) OVER earlier ELSE lag(units, 1) OVER earlier END
            AS forecast,
        CASE WHEN (SELECT lag FROM season) = 52 THEN lag(units, 51) OVER earlier ELSE units END AS next_forecast
    FROM grid
    WINDOW earlier AS (PARTITION BY attribute, "value" ORDER BY week DESC)
),
errors AS (
    SELECT
        attribute,
        "value",
        count(*) AS weeks,
        CAST(sum(abs(units - forecast)) AS BIGINT) AS missed,
        CAST(sum(abs(units - before)) AS BIGINT) AS moved
    FROM compared
    WHERE week < $weeks AND units IS NOT NULL AND forecast IS NOT NULL AND before IS NOT NULL
    GROUP BY ALL
),
past AS (
    SELECT attribute, "value", list(units ORDER BY week DESC) AS past_units
    FROM compared
    WHERE week BETWEEN 1 AND $weeks
    GROUP BY ALL
)
SELECT
    attribute,
    "value",
    compared.units,
    weekly.revenue,
    CASE WHEN compared.units IS NOT NULL THEN coalesce(weekly.abstained_units, 0) END AS abstained_units,
    compared.forecast,
    compared.next_forecast,
    (SELECT lag FROM season) AS season_weeks,
    coalesce(errors.weeks, 0) AS error_weeks,
    errors.missed / errors.weeks AS mae,
    errors.missed / nullif(errors.moved, 0) AS mase,
    past.past_units
FROM compared
JOIN past USING (attribute, "value")
LEFT JOIN errors USING (attribute, "value")
LEFT JOIN weekly ON weekly.attribute = compared.attribute AND weekly."value" = compared."value" AND weekly.week = 0
    AND compared.units IS NOT NULL
WHERE compared.week = 0
ORDER BY attribute, "value"
