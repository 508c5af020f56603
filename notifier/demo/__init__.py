"""The demo and the replay: charging sessions, real or generated, reported to fictitious people."""
