"""Webhooks as authors write them: a title and a text. All else of the body is for programs, and the same in every
language."""

from collections.abc import Iterator
from typing import Final

import msgspec

from notifier.channels.webhook.bodies import SLACK_HEADER, SLACK_SECTION
from notifier.channels.webhook.messages import WebhookContent
from notifier.rendering.findings import LintFinding, of_empty
from notifier.rendering.language import one_line
from notifier.rendering.writing import Box, Filled, Writer, Writing


class WebhookTexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The texts of the table `[webhook]`."""

    title: str
    text: str


def write(filled: Filled) -> WebhookContent:
    """Make a webhook's content of rendered texts, each part on one line."""
    parts = filled.parts
    return WebhookContent(title=one_line(parts["title"]), text=one_line(parts["text"]), link=filled.link)


def _check(content: WebhookContent) -> Iterator[LintFinding]:
    for part, text, limit in (("title", content.title, SLACK_HEADER), ("text", content.text, SLACK_SECTION)):
        yield from of_empty(part, text)
        if len(text) > limit:
            words = f"the {part} has {len(text)} characters; Slack shows {limit}"
            yield LintFinding(level="warning", code="cut_off", part=part, words=words)


WRITING: Final = Writing(
    title="Webhook",
    table=WebhookTexts,
    boxes=(
        Box("title", "Title", 2, "The headline in a Slack channel, the summary of an alert."),
        Box("text", "Text", 6, "Line breaks become spaces, so break lines where they read well."),
    ),
    open=lambda _templates, _brand: Writer(write),
    read=lambda content: f"{content.title}\n{content.text}",
    check=_check,
)
