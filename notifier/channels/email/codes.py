"""The meanings of SMTP's reply codes, read from `codes.toml`."""

from pathlib import Path
from typing import Final

from notifier.providers.codes import load_codes

CODES: Final = load_codes(Path(__file__).parent)
