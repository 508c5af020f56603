"""Subscriptions: services that are told what became of their deliveries, as batches of changes to their endpoint."""

import secrets
from random import Random
from typing import TYPE_CHECKING, Annotated, Final, Literal, get_args

import msgspec

from notifier.domain.changes import TOLD, Place
from notifier.domain.clock import HOUR, SECOND
from notifier.domain.cloudevents import Line, TypeName
from notifier.domain.ids import make_id
from notifier.domain.keys import ANY_ENDING, ApiKey
from notifier.domain.standard_webhooks import secret_key, secret_text
from notifier.domain.text import LINE, STEP

BATCH: Final = 250
"""Changes in one request at most."""
MAX_BODY: Final = 256 * 1024
"""Bytes of a request's body at most."""
OVERLAP: Final = 24 * HOUR
"""Milliseconds for which a secret that was replaced signs too."""
GIVE_UP: Final = 72 * HOUR
"""Milliseconds of failures after which a subscription is paused: a long weekend, and well before the changes go."""
FIRST_WAIT: Final = 5 * SECOND
LONGEST_WAIT: Final = HOUR
"""Milliseconds between two tries; from the first the wait doubles up to the longest."""

Paused = Literal["by_hand", "gone", "failing", "key_lost", "past_retention"]
"""Why a subscription is paused: somebody paused it, its endpoint answered 410, it has failed for `GIVE_UP`, the key
that wrote it is revoked, expired or lacks the scope, or its next changes are not kept any more."""

if TYPE_CHECKING:
    ToldState = str
    """A state that is told."""
else:
    ToldState = Literal[tuple(sorted(state.value for state in TOLD))]

Standing = Literal["told", "failing", "paused", "given_up"]
"""Whether the endpoint takes what it is told, has failed lately, was paused by somebody, or by us for a reason."""

STANDINGS: Final[tuple[Standing, ...]] = get_args(Standing)

SubscriptionId = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=STEP)]


class SubscriptionDetails(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a service subscribes to: changes to these `states`, about events of these `types` and `sources` (a source
    may end in `*`); empty is all. They go to `url`; `owner` says whom to talk to about it, and where it is a
    team of recipients they are told when it is paused for a reason."""

    url: Annotated[str, msgspec.Meta(min_length=1, max_length=2048, pattern=LINE)]
    owner: Annotated[str, msgspec.Meta(max_length=200, pattern=LINE)] = ""
    states: Annotated[tuple[ToldState, ...], msgspec.Meta(max_length=len(TOLD))] = ()
    types: Annotated[tuple[TypeName, ...], msgspec.Meta(max_length=100)] = ()
    sources: Annotated[tuple[Line, ...], msgspec.Meta(max_length=100)] = ()

    def __repr__(self) -> str:
        return "<SubscriptionDetails>"


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription as it is kept. `key_id` is the key that wrote it, within whose bounds it stays.

    `place` is how far the endpoint has got, and `until` how far the batch goes that it has failed to take: the same is
    sent again. `failures` counts tries since the last that succeeded, `failing_since` is the first of them. `answer` is
    the last one's status or fault, at `answered_at`.
    """

    id: str
    key_id: str
    details: SubscriptionDetails
    secret: str
    previous_secret: str | None = None
    previous_until: int | None = None
    created_at: int
    place: Place
    until: Place | None = None
    due_at: int
    paused: Paused | None = None
    paused_at: int | None = None
    failures: int = 0
    failing_since: int | None = None
    answer: str | None = None
    answered_at: int | None = None

    def __repr__(self) -> str:
        return f"<Subscription {self.id}>"

    @property
    def standing(self) -> Standing:
        """How the subscription stands."""
        if self.paused is not None:
            return "paused" if self.paused == "by_hand" else "given_up"
        return "failing" if self.failures else "told"

    def keys(self, now: int) -> list[bytes]:
        """The signing keys, newest first."""
        overlaps = self.previous_secret is not None and now < (self.previous_until or 0)
        both = (self.secret, self.previous_secret if overlaps else None)
        return [secret_key(each) for each in both if each is not None]


def make_secret() -> str:
    """A new secret of a subscription."""
    return secret_text(secrets.token_bytes(32))


def wait(failures: int, random: Random) -> int:
    """Milliseconds until the next try after so many failures, with jitter: endpoints of one service come back at the
    same moment."""
    longest: int = min(FIRST_WAIT << min(failures - 1, 20), LONGEST_WAIT)
    return round(longest * random.uniform(0.5, 1.0))


def batch_id(subscription: str, first: str, last: str) -> str:
    """The id of a batch by its first and last change: the same whenever it is sent."""
    return f"msg_{make_id('batch', subscription, first, last)}"


def may_write(key: ApiKey, now: int) -> bool:
    """Whether a subscription that a key has written may go on."""
    return key.good_at(now) and "subscriptions:write" in key.scopes


def beyond(key: ApiKey, details: SubscriptionDetails) -> str | None:
    """The pointer to the first type or source that a key isn't bound to; None where there is none."""
    for place, type_ in enumerate(details.types):
        if not key.bounds.has_type(type_):
            return f"/types/{place}"
    for place, source in enumerate(details.sources):
        if not _covered(key, source):
            return f"/sources/{place}"
    return None


def _covered(key: ApiKey, source: str) -> bool:
    """Whether all that a source stands for is what a key may report as."""
    if not source.endswith(ANY_ENDING):
        return key.bounds.has_source(source)
    begin = source.removesuffix(ANY_ENDING)
    return not key.sources or any(
        each.endswith(ANY_ENDING) and begin.startswith(each.removesuffix(ANY_ENDING)) for each in key.sources
    )
