"""Stations for everybody: where one can charge now, as an answer and as a stream."""
