"""The console at /console, for people: a table of screens (`screens`), from which the routes, who may see them and the
navigation are made. Pages are rendered here, work without a script, and load nothing from elsewhere.
"""
