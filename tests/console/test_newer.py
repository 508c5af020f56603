"""The console of the release before, on what a newer one has written of a channel that only that one knows."""

import re

from notifier.console.app import SCREENS
from notifier.console.screens import Screen
from tests import newer
from tests.console.conftest import Enter, signed_in
from tests.newer import EVENT, IDS, PIGEON

SHOWING = {"/activity", "/deliveries/{id}", "/events/{id}", "/dead"}
NAMED = {"{type}": "charging-complete", "{name}": "admin", "{number}": "1"}


def paths(screen: Screen) -> list[str]:
    """The addresses of a page that lead to what the newer release has written."""
    if screen.path == "/deliveries/{id}":
        return [f"/deliveries/{id_}" for id_ in IDS.values()]
    return [re.sub(r"{\w+}", lambda match: NAMED.get(match[0], EVENT), screen.path)]


async def test_every_page_is_drawn_and_what_has_a_channel_shows_the_name(enter: Enter) -> None:
    visitor = await signed_in(enter, "admin")
    await newer.write(visitor.engine.database)
    showing = set()

    for screen in SCREENS:
        if screen.method == "GET":
            for path in paths(screen):
                answer = await visitor.get(path)
                assert answer.status in (200, 303, 404), path
                if PIGEON in answer.body:
                    showing.add(screen.path)

    assert showing >= SHOWING


async def test_a_dead_letter_that_is_not_redriven_here_says_why(enter: Enter) -> None:
    visitor = await signed_in(enter, "admin")
    await newer.write(visitor.engine.database)

    done = await visitor.post("/dead/redrive", ids=IDS["failed"])

    assert "channel gone" in done.body
    assert len(await newer.rows(visitor.engine.database)) == len(IDS)
