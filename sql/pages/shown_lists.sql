-- Which model's lists customers are shown on a day, and on which day they were made: an earlier one where the model
-- failed the gates of $ds. No row: the day has not been through the gates.
SELECT model, made_on FROM champions WHERE serving AND ds = $ds
