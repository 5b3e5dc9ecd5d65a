-- Which figures of the data were measured on the newest day that has any.
SELECT DISTINCT name FROM latest_day_figures ORDER BY name
