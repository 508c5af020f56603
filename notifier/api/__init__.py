"""The HTTP API: a table of endpoints (`endpoints`), from which the routes, their authentication and the OpenAPI are
made.
"""
