"""Dramatiq workers: `python -m workers`, which `notifier worker` starts and keeps up."""
