"""Clicks: links in messages that were followed, by people or by programs that follow links to look at them."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final
from zlib import crc32

import msgspec

from notifier.domain.clock import SECOND

TOO_SOON: Final = SECOND
"""Milliseconds after a message went out in which nobody has read it yet: mail servers look at links as they take a
mail."""

AT_ONCE: Final = 2 * SECOND
"""Milliseconds between two links of one message within which a program follows them: a person comes back first."""

SETTLED: Final = 5 * SECOND
"""Milliseconds after which a click is judged: all that are followed at once with it are written by then."""


class Click(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A link of a delivery that was followed at an instant. `link` says which (`link_of`); `sent_at` is when the
    message went out, None where that isn't known yet."""

    delivery_id: str
    recipient_id: str
    link: int
    at: int
    sent_at: int | None = None


def link_of(target: str) -> int:
    """What tells the links of one message apart."""
    return crc32(target.encode())


def by_people(clicks: Iterable[Click]) -> list[Click]:
    """The first click of a person in each delivery; none where only programs have followed its links."""
    of: dict[str, list[Click]] = defaultdict(list)
    for each in sorted(clicks, key=lambda each: each.at):
        of[each.delivery_id].append(each)
    firsts = (next((each for each in those if _by_person(each, those)), None) for those in of.values())
    return [each for each in firsts if each is not None]


def _by_person(click: Click, among: Iterable[Click]) -> bool:
    if click.sent_at is None or click.at < click.sent_at + TOO_SOON:
        return False
    return not any(each.link != click.link and abs(each.at - click.at) < AT_ONCE for each in among)
