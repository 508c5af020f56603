"""Texts as authors write them: one part, in GSM-7 where possible, and as short as possible."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from notifier.channels.sms.messages import SmsContent
from notifier.domain.gsm7 import to_gsm7
from notifier.domain.sms_segments import GSM7, SIZES, SmsSize, measure
from notifier.rendering.findings import LintFinding, of_empty
from notifier.rendering.language import one_line
from notifier.rendering.writing import Box, Filled, Measure, Writer, Writing

MANY_SEGMENTS: Final = 3
"""The most segments of a text: a longer one is a letter, and costs like one."""


class SmsTexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table `[sms]`."""

    text: str


def write(filled: Filled) -> SmsContent:
    """The text on one line, in GSM-7 where it can be."""
    return SmsContent(text=to_gsm7(one_line(filled.parts["text"])))


def room(size: SmsSize) -> int:
    """Return the units that fit into as many segments as a text takes."""
    alone, among = SIZES[size.encoding]
    return alone if size.segments == 1 else among * size.segments


def _check(content: SmsContent) -> Iterator[LintFinding]:
    size = measure(content.text)
    if size.segments > MANY_SEGMENTS:
        words = f"the text takes {size.segments} SMS; {MANY_SEGMENTS} is the limit. Shorten it"
        yield LintFinding(level="error", code="segments", words=words)
    elif size.segments > 1:
        words = f"the text takes {size.segments} SMS, each at full price; one holds {SIZES[size.encoding][0]}"
        yield LintFinding(level="warning", code="segments", words=words)
    if size.encoding == "ucs2":
        strange = next(letter for letter in content.text if letter not in GSM7)
        words = f"“{strange}” is not in the GSM-7 alphabet: with it one SMS holds 70 characters, not 160"
        yield LintFinding(level="warning", code="ucs2", words=words)
    yield from of_empty("text", content.text)


def _preview(content: SmsContent) -> Mapping[str, Any]:
    size = measure(content.text)
    return {"size": size, "room": room(size)}


WRITING: Final = Writing(
    title="SMS",
    table=SmsTexts,
    boxes=(Box("text", "Text", 9, "Line breaks become spaces, so break lines where they read well."),),
    open=lambda _templates, _brand: Writer(write),
    read=lambda content: content.text,
    check=_check,
    measure=Measure("segments", "SMS", lambda content: measure(content.text).segments, paid=True),
    preview=_preview,
)
