"""The editor as its tests fill it in, and what pages and the audit say of it."""

import html
import re

from notifier.store.core.staff import audit as audit_table
from tests.api.server import Answer
from tests.console.conftest import Visitor

TYPE = "charging-complete"
EDIT = f"/types/{TYPE}/edit?locale=de&channel=sms"
SHORT = "{{ brand }}: {{ station }} fertig."
NUMBER = "+4915112345678"


async def write(visitor: Visitor, text: str, to: str = "edit", where: str = EDIT, **more: str) -> Answer:
    """Fill in the German SMS on its page, and press a button."""
    page = (await visitor.get(where)).body
    return await visitor.post(f"/types/{TYPE}/{to}", **{**hidden(page), "text": text, **more})


def hidden(page: str) -> dict[str, str]:
    """What the editor's form sends along."""
    form = page.partition('<form class="editor"')[2]
    names = ("revision", "based_on", "shown", "locale", "channel")
    found = {name: re.search(rf'name="{name}" value="([^"]*)"', form) for name in names}
    return {name: html.unescape(match[1]) for name, match in found.items() if match}


def says(answer: Answer) -> str:
    """A page's words, as people read them."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.body)).split())


async def told(visitor: Visitor, *actions: str) -> list[tuple[str, str, str, str]]:
    entries = [each for each in await visitor.rows(audit_table) if each.action in actions]
    return [(each.actor, each.action, each.subject, each.detail) for each in entries]
