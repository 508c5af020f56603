"""The meaning of endpoints' answers, and of faults that prevent a request: `codes.toml`."""

from pathlib import Path
from typing import Final

from notifier.providers.codes import load_codes

CODES: Final = load_codes(Path(__file__).parent)
