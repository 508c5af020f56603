"""Places and their ports: written in turn, read by the revision up to which one has read."""
