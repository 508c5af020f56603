"""Ids in SQL: the functions of `domain.ids` in a benchmark's PostgreSQL, which writes rows by itself."""

from typing import Final

from notifier.domain.ids import DATE, LENGTH

FUNCTIONS: Final = (
    f"""
    CREATE FUNCTION dated(id uuid, instant bigint) RETURNS uuid IMMUTABLE LANGUAGE sql AS $$
    SELECT CAST(lpad(to_hex(instant), {DATE}, '0') || left(translate(CAST(id AS text), '-', ''), {LENGTH - DATE})
                AS uuid)
    $$
    """,
    f"""
    CREATE FUNCTION instant_of(id uuid) RETURNS bigint IMMUTABLE LANGUAGE sql AS $$
    SELECT CAST(CAST('x' || left(translate(CAST(id AS text), '-', ''), {DATE}) AS bit({DATE * 4})) AS bigint)
    $$
    """,
)
"""Statements that make the functions."""
