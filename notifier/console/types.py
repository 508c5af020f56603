"""Types: every notification type with its class, languages, live version and volume."""

from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from notifier.console.pages import page
from notifier.console.screens import ConsoleContext, Screen
from notifier.domain.catalog import NotificationType
from notifier.store.console import versions
from notifier.texts import gate


class TypeSummary(NamedTuple):
    """A type in the list: the locales of its live texts, their version, who has a draft, and its deliveries within a
    day, None before the first count."""

    notification_type: NotificationType
    locales: list[str]
    version: int
    drafted_by: str | None
    day: int | None


async def get_types(request: Request, context: ConsoleContext) -> Response:
    """Show the types whose id, name, event, class or category contains the search text."""
    engine = context.engine
    asked = request.query_params.get("q", "").strip()
    kinds = [kind for kind in engine.catalog.types.values() if asked.lower() in _said(kind)]
    drafts = await versions.drafts(engine.database)
    day = await context.watch.day()
    lines = [
        TypeSummary(
            notification_type=kind,
            locales=engine.renderer.locales(kind.id),
            version=engine.renderer.live(kind.id),
            drafted_by=drafts[kind.id].actor if kind.id in drafts else None,
            day=None if day is None else day.get(kind.id, 0),
        )
        for kind in kinds
    ]
    spoken = gate.locales(engine.renderer, engine.catalog)
    return page(request, context, "types.html", asked=asked, lines=lines, spoken=spoken)


def _said(kind: NotificationType) -> str:
    return f"{kind.id} {kind.name} {kind.event} {kind.class_} {kind.category}".lower()


SCREENS = [Screen(path="/types", handler=get_types, permission="read", title="Types", group="Write", key="t")]
