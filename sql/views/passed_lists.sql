-- The days whose serving model passed its gates with the lists that are stored, one row for each. Lists that were written
-- after the gates had decided (the day was made again, and its gates were not, or a run was killed between them) have
-- been measured by nobody: such a day has no row.
SELECT decided.ds, champion.model, champion.model_id, champion.recipe, champion.why
FROM champions AS champion
JOIN materialisations AS decided ON decided.ds = champion.ds AND decided."table" = 'champions'
WHERE champion.serving AND champion.action = 'passed' AND champion.made_on = champion.ds
    AND NOT EXISTS (
        FROM materialisations AS lists
        WHERE lists."table" = 'recommendations'
            AND lists.ds = champion.ds
            AND lists.part IN (champion.model, 'popular')
            AND lists.written_at > decided.written_at
    )
