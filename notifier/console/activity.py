"""Activity: the newest deliveries, by type, channel, state or recipient, live."""

from starlette.requests import Request
from starlette.responses import Response

from notifier.console.forms import read_filter, read_place
from notifier.console.pages import draw, page
from notifier.console.screens import ConsoleContext, Screen
from notifier.domain.channels import channels
from notifier.domain.deliveries import Channel, State
from notifier.store.reading import activity, listing
from notifier.store.reading.listing import DeliveryFilter

PAGE = 50  # deliveries


async def get_activity(request: Request, context: ConsoleContext) -> Response:
    """Show a page of deliveries, newest first."""
    wanted, place = read_filter(request.query_params, DeliveryFilter), read_place(request)
    found = await listing.find(context.engine.database, wanted, place, PAGE)
    choices = {
        "type": sorted(context.engine.catalog.types),
        "channel": [channel.value for channel in (*channels(), Channel.NONE)],
        "state": [state.value for state in State],
    }
    zone = await _zone(context, wanted)
    return page(request, context, "activity.html", wanted=wanted, place=place, found=found, choices=choices, zone=zone)


async def get_live(request: Request, context: ConsoleContext) -> Response:
    """Stream the first page of deliveries as it changes."""
    wanted = read_filter(request.query_params, DeliveryFilter)
    zone = await _zone(context, wanted)

    async def drawn() -> str:
        found = await listing.find(context.engine.database, wanted, None, PAGE)
        return draw("_activity.html", context, request.state.visit, wanted=wanted, found=found, zone=zone)

    return context.streams.stream(drawn)


async def _zone(context: ConsoleContext, wanted: DeliveryFilter) -> str | None:
    """Return the time zone that a page shows beside UTC: its person's, where the page is about one person."""
    return await activity.zone_of(context.engine.database, wanted.recipient) if wanted.recipient else None


SCREENS = [
    Screen(path="/activity", handler=get_activity, permission="read", title="Activity", key="a"),
    Screen(path="/activity/live", handler=get_live, permission="read"),
]
