"""`notifier mcp` as a client starts it, beside a served application with a key that may do everything."""

from tests.api.conftest import api, database_url

__all__ = ["api", "database_url"]
