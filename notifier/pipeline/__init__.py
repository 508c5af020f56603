"""The pipeline of an event: accept → decide → deliver → settle, and the clock. One file per step.

Each step is a function of an `Engine`, which holds a process's open resources, and of the ids to work on.
"""
