"""The way of an event: accept → decide → deliver → settle, and the clock. One file a step.

Each step is a function of an `Engine`, which holds what a process has opened, and of the ids it is to work on.
"""
