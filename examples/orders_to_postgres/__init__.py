"""Made-up orders go to a table of PostgreSQL or SQLite, and the revenue of each customer to another."""
