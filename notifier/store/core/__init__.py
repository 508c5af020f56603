"""Shared by all tables: the schema and its migrations, connections, batches, pages, secrets and the audit."""
