-- When interactions take place: one row for each row of interactions, with the calendar of its day.
-- weekday runs from 1 (Monday) to 7 (Sunday), month from 1 to 12; weekend is Saturday and Sunday. The day is ds, in the
-- retailer's time zone. Source: the features of the published H&M two-stage system.
SELECT
    ds,
    customer_id,
    article_id,
    kind,
    occurred_at,
    CAST(isodow(ds) AS TINYINT) AS weekday,
    CAST(month(ds) AS TINYINT) AS month,
    isodow(ds) >= 6 AS weekend
FROM interactions
