"""Ids that people copy from somewhere, and what they type that is none: found, or told so, on every database."""

import re
from urllib.parse import quote

from tests.console.conftest import Enter, signed_in
from tests.console.rows import fill

HYPHENS = re.compile("(.{8})(.{4})(.{4})(.{4})(.{12})")


async def test_a_delivery_is_searched_as_a_database_shows_its_id(enter: Enter) -> None:
    # Given a delivery
    visitor = await signed_in(enter, "operator")
    (id_,) = await fill(visitor, 1)

    # When its id is searched as the notifier has it, as MariaDB's HEX() shows it, or as PostgreSQL does
    for asked in (id_, id_.upper(), HYPHENS.sub(r"\1-\2-\3-\4-\5", id_)):
        answers = [await visitor.get(f"/search?q={asked}"), await visitor.post("/search", q=asked)]

        # Then its page is found
        for answer in answers:
            assert (answer.status, answer.headers.get("Location")) == (303, f"/console/deliveries/{id_}"), asked


async def test_what_is_no_id_is_not_found_or_refused(enter: Enter) -> None:
    # Given a delivery that failed
    visitor = await signed_in(enter, "operator")
    (id_,) = await fill(visitor, 1, state="failed", reason="refused")

    for odd in ("x", "\0", "é", id_[1:], f"{id_}0", f"{id_}\n", id_.upper(), "g" * 32, "0" * 32):
        # When somebody goes to it, then there is nothing, and a search finds nobody
        for page in ("deliveries", "events"):
            assert (await visitor.get(f"/{page}/{quote(odd, safe='')}")).status == 404, (page, odd)

        # And a page that begins there, or a list of dead letters that names it, is refused
        if odd == "0" * 32:
            continue
        for page in ("activity", "dead"):
            assert (await visitor.get(f"/{page}?after=1-{quote(odd, safe='')}")).status == 400, (page, odd)
        assert (await visitor.post("/dead/confirm", action="redrive", id=odd)).status == 400, odd
        for action in ("redrive", "discard"):
            assert (await visitor.post(f"/dead/{action}", ids=odd)).status == 400, (action, odd)
