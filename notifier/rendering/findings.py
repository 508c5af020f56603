"""What the checks of texts say: one finding each, of how grave it is, where, and what to do about it."""

from collections.abc import Iterator
from typing import Final, Literal, get_args

import msgspec

Level = Literal["error", "warning", "hint"]

LEVELS: Final[tuple[Level, ...]] = get_args(Level)
"""The gravest first. An error keeps a version from being published, a warning asks for a reason, a hint for nothing."""


class LintFinding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing, where it is, and what to do about it."""

    level: Level
    code: str
    words: str
    locale: str = ""
    channel: str = ""
    part: str = ""

    @property
    def unusable(self) -> bool:
        """Whether no message can be made at all because of it."""
        return self.code in ("language", "too_costly")

    @property
    def place(self) -> str:
        """Where it is within a type's texts: `de.toml: sms.text`."""
        inside = ".".join(filter(None, (self.channel, self.part)))
        return ": ".join(filter(None, (self.locale and f"{self.locale}.toml", inside)))


def of_empty(part: str, text: str | None) -> Iterator[LintFinding]:
    """An error where a part of a message that is there says nothing."""
    if text is not None and not text.strip():
        yield LintFinding(level="error", code="empty", part=part, words=f"the {part} is empty in at least one case")
