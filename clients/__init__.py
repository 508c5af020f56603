"""Clients in several languages, and the table of behaviour that all of them are held to."""
