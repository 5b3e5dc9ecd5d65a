-- Where every value of predicted_attributes comes from: one row for each of its rows, with the bundle that predicted it,
-- what that was trained on, the promoted backbone that had read the photographs (null where they were read by an
-- encoder that was not fine-tuned here), and the run that wrote it.
-- model_upstreams maps each table to the data version that was read; materialisations.data_version is the file's.
SELECT
    predicted.ds,
    predicted.article_id,
    predicted.attribute,
    predicted."value",
    predicted.source,
    predicted.confidence,
    predicted.prediction,
    predicted.alternatives,
    predicted.model_id,
    bundle.training_day AS model_training_day,
    bundle.upstreams AS model_upstreams,
    bundle.code_version AS model_code_version,
    bundle.seed AS model_seed,
    bundle.libraries AS model_libraries,
    backbone.model_id AS backbone_id,
    backbone.training_day AS backbone_training_day,
    predicted.image_digests,
    predicted.text_digest,
    written.run_id,
    written.written_at,
    written.data_version
FROM predicted_attributes AS predicted
LEFT JOIN model_bundles AS bundle ON bundle.name = 'attribute_model' AND bundle.model_id = predicted.model_id
LEFT JOIN model_bundles AS backbone
    ON backbone.name = 'image_backbone' AND backbone.model_id = bundle.upstreams['image_backbone']
LEFT JOIN materialisations AS written ON written."table" = 'predicted_attributes' AND written.ds = predicted.ds
