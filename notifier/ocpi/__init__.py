"""OCPI 2.2.1, the receiving side: a charge point operator's sessions and bills become our events. No I/O here."""
