-- Where the values of each attribute come from: people, the model alone, or the model where several remain possible.
SELECT
    attribute,
    count(*) FILTER (WHERE source = 'annotated') AS annotated,
    count(*) FILTER (WHERE source = 'predicted') AS predicted,
    count(*) FILTER (WHERE source = 'abstained') AS abstained
FROM predicted_attributes
GROUP BY attribute
ORDER BY attribute
