"""SMS by Twilio's Messages resource."""

import re
from pathlib import Path
from typing import Final

from notifier.providers.codes import load_codes

CODES: Final = load_codes(Path(__file__).parent)
NUMBER: Final = re.compile(r"\+[1-9][0-9]{1,14}")
"""A number as Twilio writes it (E.164)."""
