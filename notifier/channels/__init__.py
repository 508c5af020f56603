"""Channels: how a person is reached, one folder each."""
