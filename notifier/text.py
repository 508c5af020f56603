"""What text may hold, wherever it comes in. PostgreSQL can't keep a NUL; a line break in a line is an injection.

The patterns mean the same to Python and, in the API's schemas, to ECMA 262. So they don't end in `$`, which for Python
also stands before a last line break.
"""

_END = r"(?![\s\S])"

TEXT = rf"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*{_END}"
"""Prose: of the control characters only tab and line breaks."""

LINE = rf"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*{_END}"
"""One line: no control characters, nothing that breaks a line."""

WORD = rf"^[^\x00-\x20\x7f-\xa0\u2028\u2029]*{_END}"
"""A line without spaces: identifiers, tokens."""

STEP = rf"^[^\x00-\x20\x7f-\xa0\u2028\u2029/]*{_END}"
"""A word that can stand between two slashes of a path."""
