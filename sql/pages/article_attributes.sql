-- The attributes of one article with their lineage: who said so, how sure the model was, which bundle, trained when.
SELECT
    told.ds,
    told.article_id,
    told.attribute,
    told."value",
    told.source,
    told.confidence,
    told.prediction,
    told.alternatives,
    told.model_id,
    bundle.training_day
FROM latest_predicted_attributes AS told
LEFT JOIN model_bundles AS bundle ON bundle.name = 'attribute_model' AND bundle.model_id = told.model_id
WHERE told.article_id = $article
ORDER BY told.attribute
