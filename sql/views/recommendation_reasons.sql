-- Why an article is recommended: one row for each reason of each place of each list that has reasons, the strongest first.
-- kind is article (of the customer's history; name is that article's), attribute, source (which found the candidate) or
-- feature (of the candidate; both of two_stage); weight is in units of the list's score, of two_stage of its ranker's. served tells the lists that customers are shown from those made for evaluation.
SELECT
    reason.ds,
    reason.customer_id,
    reason.model,
    reason.seen,
    reason.served,
    reason.rank,
    reason.article_id,
    reason.place AS reason_rank,
    reason.reason.kind,
    reason.reason."value",
    chosen.name,
    reason.reason.weight
FROM (
    SELECT * EXCLUDE (reasons), unnest(reasons) AS reason, generate_subscripts(reasons, 1) AS place
    FROM recommendations
    WHERE reasons IS NOT NULL
) AS reason
LEFT JOIN articles AS chosen
    ON reason.reason.kind = 'article' AND chosen.ds = reason.ds AND chosen.article_id = reason.reason."value"
