"""What every table needs: the schema and its migrations, connections, batches, pages, secrets and the audit."""
