-- What changed from the day before the newest one to the newest: one row for each article and column of articles, and
-- for each article and attribute of predicted_attributes, whose value is another one.
-- change is new (the article, or the attribute's value, was not there), gone or changed; before and after are texts.
WITH days AS (
    SELECT 'articles' AS "table", ds, dense_rank() OVER (ORDER BY ds DESC) AS age FROM (SELECT DISTINCT ds FROM articles)
    UNION ALL
    SELECT 'predicted_attributes', ds, dense_rank() OVER (ORDER BY ds DESC)
    FROM (SELECT DISTINCT ds FROM predicted_attributes)
),
facts AS (
    UNPIVOT (
        SELECT
            ds,
            article_id,
            product_code,
            name,
            description,
            product_type,
            brand,
            division,
            CAST(price AS VARCHAR) AS price,
            CAST(available_from AS VARCHAR) AS available_from,
            CAST(available_until AS VARCHAR) AS available_until,
            CAST(in_stock AS VARCHAR) AS in_stock
        FROM articles
        SEMI JOIN (FROM days WHERE "table" = 'articles' AND age <= 2) AS newest USING (ds)
    ) ON COLUMNS(* EXCLUDE (ds, article_id)) INTO NAME field VALUE "value"
),
told AS (
    SELECT 'articles' AS "table", * FROM facts
    UNION ALL
    SELECT 'predicted_attributes', ds, article_id, attribute, "value" FROM predicted_attributes
    SEMI JOIN (FROM days WHERE "table" = 'predicted_attributes' AND age <= 2) AS newest USING (ds)
),
dated AS (SELECT told.*, age FROM told JOIN days USING ("table", ds)),
today AS (FROM dated WHERE age = 1),
yesterday AS (FROM dated WHERE age = 2),
newest AS (FROM days WHERE age = 1 AND "table" IN (SELECT "table" FROM days WHERE age = 2))
SELECT
    newest.ds,
    "table",
    article_id,
    field,
    CASE WHEN yesterday."value" IS NULL THEN 'new' WHEN today."value" IS NULL THEN 'gone' ELSE 'changed' END AS change,
    yesterday."value" AS before,
    today."value" AS after
FROM today FULL JOIN yesterday USING ("table", article_id, field)
JOIN newest USING ("table")
WHERE today."value" IS DISTINCT FROM yesterday."value"
