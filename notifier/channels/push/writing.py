"""Pushes as authors write them: a title and a body, optionally with an image and a button's label."""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from notifier.channels.push.messages import PushContent
from notifier.rendering.findings import LintFinding, of_empty
from notifier.rendering.language import one_line
from notifier.rendering.writing import Box, Filled, Writer, Writing

TITLE: Final = 40
"""Characters of a push title that a phone shows on one line."""
BODY: Final = 120
"""Characters of a push body that a phone shows before it is opened."""
ACTION: Final = 20
"""Characters of a button's label that a phone shows if it is the only button."""
PAYLOAD: Final = 4096
"""Bytes that FCM takes (firebase.google.com/docs/cloud-messaging/concept-options)."""
ENVELOPE: Final = 1024
"""Bytes of that limit that are not text: token, link, keys, Android's and Apple's parts."""

_HTTPS = re.compile(r"https://[^/?#\s]+\S*")


class PushTexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The table `[push]`: `image` is the address of a picture, `action` the label of a button."""

    title: str
    body: str
    image: str = ""
    action: str = ""


def write(filled: Filled) -> PushContent:
    """Make a push's content from rendered texts: each part on one line, without empty parts."""
    parts, image, action = filled.parts, filled.addresses.get("image"), filled.parts.get("action")
    return PushContent(
        title=one_line(parts["title"]),
        body=one_line(parts["body"]),
        link=filled.link,
        image=(one_line(image) or None) if image else None,
        action=(one_line(action) or None) if action else None,
    )


def _read(content: PushContent) -> str:
    button = content.action and f"[{content.action}]"
    return "\n".join(filter(None, (content.title, content.body, button, content.image)))


def _check(content: PushContent) -> Iterator[LintFinding]:
    shown = (("title", content.title, TITLE), ("body", content.body, BODY), ("action", content.action, ACTION))
    for part, text, limit in shown:
        yield from of_empty(part, text)
        if text is not None and len(text) > limit:
            words = f"the {part} has {len(text)} characters; phones cut it off at about {limit}"
            yield LintFinding(level="warning", code="cut_off", part=part, words=words)
    if content.image is not None and not _HTTPS.fullmatch(content.image):
        address = content.image[:60]
        words = f"the image's address {address!r} does not begin with https://; phones won't show it"
        yield LintFinding(level="error", code="link", part="image", words=words)
    size = len(msgspec.json.encode(content)) + len((content.image or "").encode())  # Apple's payload repeats it
    if size > PAYLOAD - ENVELOPE:
        words = f"the push has {size} bytes of text; {PAYLOAD - ENVELOPE} fit"
        yield LintFinding(level="error", code="payload", words=words)


WRITING: Final = Writing(
    title="Push",
    table=PushTexts,
    boxes=(
        Box("title", "Title", 2),
        Box("body", "Body", 6),
        Box("action", "Button", 1, "No button if this is empty. The button leads to the type's link."),
        Box("image", "Picture", 2, "No image if this is empty. Its https address; only text fields can be used in it."),
    ),
    optional=frozenset({"image", "action"}),
    everywhere=frozenset({"image", "action"}),
    addresses=frozenset({"image"}),
    open=lambda _templates, _brand: Writer(write),
    read=_read,
    check=_check,
)
