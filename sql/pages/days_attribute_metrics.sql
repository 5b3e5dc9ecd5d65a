-- Which figures of attributes there are on the newest day, but for the bins of the reliability diagram.
SELECT DISTINCT metric FROM latest_attribute_metrics WHERE NOT starts_with(metric, 'reliability_') ORDER BY metric
