"""People: recipients, devices, preferences, consent, segments, suppressions and erasures."""
