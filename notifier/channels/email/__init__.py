"""E-mail by SMTP, to a relay of one's own or a provider's."""

from pathlib import Path
from typing import Final

from notifier.providers.codes import load_codes

CODES: Final = load_codes(Path(__file__).parent)
