-- Which model's lists customers are shown on $ds, and on which day they were made: the newest that passed its gates. No
-- row: none ever did, and those of $ds are shown.
SELECT model, ds AS made_on FROM passed_lists WHERE ds <= $ds ORDER BY ds DESC LIMIT 1
