"""The inbox of an app: a person's messages as their app lists them. No provider: the delivery's row is the delivery."""
