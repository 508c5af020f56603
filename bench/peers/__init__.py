"""Others at the same job, against the same stand-ins on the same machine, one after the other in one run.

naive           the afternoon's version on our own packages: an actor per channel, SDKs as their documentation shows
                them, a connection per mail, SQL by the row
celery_apprise  Celery and Apprise; no database at all
bare_loop       prepared bytes down our own transports, with no queue, database or policy: the limit

Each is a module that is run (`python -m bench.peers.<name>`): it prepares, prints `ready`, waits for a line, reports or
sends its events, and ends. The first two have workers beside it.
"""
