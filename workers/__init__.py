"""Dramatiq workers: `dramatiq workers.main`, started by `notifier worker` with its settings."""
