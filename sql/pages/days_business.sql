-- What a business asks for, of the 7 days that end with each day from $from_day to $to_day, as known on that day.
SELECT ds, active_customers, revenue_per_customer, conversion, retention
FROM business_figures
WHERE ds BETWEEN $from_day AND $to_day AND day = ds AND window_days = 7
ORDER BY ds
