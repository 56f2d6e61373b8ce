"""What customers have used in each calendar month and day of a time zone, through the changes of its clocks."""
