"""Findings of the checks of texts: severity, place, and what to do."""

from collections.abc import Iterator
from typing import Final, Literal, get_args

import msgspec

Level = Literal["error", "warning", "hint"]

LEVELS: Final[tuple[Level, ...]] = get_args(Level)
"""The most severe first. An error prevents publishing, a warning needs a reason, a hint nothing."""


class LintFinding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A finding: its severity, its place in the texts, and what to do about it."""

    level: Level
    code: str
    words: str
    locale: str = ""
    channel: str = ""
    part: str = ""

    @property
    def unusable(self) -> bool:
        """Whether no message can be rendered because of this finding."""
        return self.code in ("language", "too_costly")

    @property
    def place(self) -> str:
        """Return the finding's place within a type's texts: `de.toml: sms.text`."""
        inside = ".".join(filter(None, (self.channel, self.part)))
        return ": ".join(filter(None, (self.locale and f"{self.locale}.toml", inside)))


def of_empty(part: str, text: str | None) -> Iterator[LintFinding]:
    """Return an error for a part of a message that is present but empty."""
    if text is not None and not text.strip():
        yield LintFinding(level="error", code="empty", part=part, words=f"the {part} is empty in at least one case")
