"""What runs beside the way: access kept up to date, drift repaired, documents erased, the set-up examined."""
