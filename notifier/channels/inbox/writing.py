"""Messages in the inbox as authors write them: a title, a text, and the link's label."""

from collections.abc import Iterator
from typing import Final

import msgspec

from notifier.channels.inbox.messages import InboxContent
from notifier.rendering.findings import LintFinding, of_empty
from notifier.rendering.language import one_line
from notifier.rendering.writing import Box, Filled, Writer, Writing

TITLE: Final = 80
"""Characters of a title: two lines on a narrow phone."""
BODY: Final = 400
"""Characters of a text: more belongs on the page that the message links to."""
ACTION: Final = 30
"""Characters of the label: one line."""


class InboxTexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The texts of the table `[inbox]`: `action` is the link's label."""

    title: str
    body: str
    action: str = ""


def write(filled: Filled) -> InboxContent:
    """Make the content of rendered texts, each part on one line."""
    parts = filled.parts
    return InboxContent(
        title=one_line(parts["title"]),
        body=one_line(parts["body"]),
        link=filled.link,
        action=one_line(parts.get("action", "")) or None,
    )


def _read(content: InboxContent) -> str:
    button = content.action and f"[{content.action}]"
    return "\n".join(filter(None, (content.title, content.body, button)))


def _check(content: InboxContent) -> Iterator[LintFinding]:
    shown = (("title", content.title, TITLE), ("body", content.body, BODY), ("action", content.action, ACTION))
    for part, text, limit in shown:
        yield from of_empty(part, text)
        if text is not None and len(text) > limit:
            words = f"the {part} has {len(text)} characters; people read up to about {limit}"
            yield LintFinding(level="warning", code="long", part=part, words=words)


WRITING: Final = Writing(
    title="Inbox",
    table=InboxTexts,
    boxes=(
        Box("title", "Title", 2),
        Box("body", "Text", 6),
        Box(
            "action",
            "Label of the link",
            1,
            "No label if this is empty. The whole message leads to the type's link.",
        ),
    ),
    optional=frozenset({"action"}),
    everywhere=frozenset({"action"}),
    open=lambda _templates, _brand: Writer(write),
    read=_read,
    check=_check,
)
