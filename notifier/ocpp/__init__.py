"""OCPP 1.6 and 2.0.1: what stations say, as a CSMS forwards it, becomes statuses and our events. No I/O here."""
