"""The system of record: the only place that knows SQL. See `schema` for the tables, `rows` for how batches travel."""
