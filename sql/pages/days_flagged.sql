-- On which days from $from_day to $to_day a figure of the data was flagged, and how far it moved.
SELECT ds, "level", today, earlier, compared_with
FROM drift
WHERE ds BETWEEN $from_day AND $to_day AND name = $figure AND verdict = 'flagged'
ORDER BY ds DESC
