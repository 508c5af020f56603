"""Why something happened or would: explain an event, simulate one, replay a past day."""
