"""Tools for language models by the Model Context Protocol: a client of the HTTP API, with the powers of its key."""
