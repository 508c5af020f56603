"""Webhooks: a POST to an endpoint that an operator, a fleet or a host has for it."""
