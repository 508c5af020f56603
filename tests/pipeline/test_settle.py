"""What the outcome of an attempt makes of a delivery: every code of every channel, the count of tries, and expiry."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.channels.email import codes as email
from notifier.channels.push import codes as push
from notifier.channels.push import tokens
from notifier.channels.sms import codes as sms
from notifier.domain.channels import Reach
from notifier.domain.clock import DAY, SECOND
from notifier.domain.deliveries import Channel, Lane, State, check_moves
from notifier.domain.errors import OutcomeUnknown, SendError, Unavailable
from notifier.domain.messages import Receipt
from notifier.pipeline.claim_batcher import FENCE, LEASE
from notifier.pipeline.settle import RenderRecord, settle, was_tried
from notifier.providers import http
from notifier.providers.fence import BEGIN_WITHIN
from notifier.store.delivery.deliveries import Ready
from tests.named import EMAIL, PUSH, SMS
from tests.pipeline.samples import NOW

TABLES = {PUSH: push.CODES, SMS: sms.CODES, EMAIL: email.CODES}
CODES = [(channel, code) for channel, table in TABLES.items() for code in table.codes]
DICE = Random(1)  # noqa: S311 (repeatable, not secret)


def ready(channel: Channel, *, attempts: int = 0, expires_in: int = 30 * DAY) -> Ready:
    return Ready(
        id="1",
        event_id="2",
        recipient_id="ada",
        type="t",
        channel=channel,
        lane=Lane.NORMAL,
        target="",
        subject_key="3",
        created_at=NOW,
        expires_at=NOW + expires_in,
        attempts=attempts,
        crashes=0,
        occurred_at=NOW,
        accepted_at=NOW,
        data={},
        redrive_of=None,
        variant=None,
        reach=Reach(),
        facts=None,
        address_key=None,
        supersession=None,
        reached=False,
        told=True,
        digest_items=None,
        traces=(),
    )


@pytest.mark.parametrize(("channel", "code"), CODES)
def test_every_code_leads_where_it_says_and_comes_again_only_where_it_may(channel: Channel, code: str) -> None:
    # Given a delivery that met the code at its first try
    error = TABLES[channel].classify(code)

    settled = settle(ready(channel), "token", error, RenderRecord("en"), NOW, DICE)

    # Then what can't come again has ended, and the rest is due at its time, as the same delivery
    check_moves([(State.SENDING, settled.state)])
    assert settled.code == code
    if error.retry:
        retry = TABLES[channel].retry[error.retry_class]
        assert settled.state == State.PENDING
        assert settled.next_check_at == settled.due_at >= NOW + max(retry.least, (error.retry_after or 0) * SECOND)
    elif isinstance(error, OutcomeUnknown):
        assert settled.state == State.UNKNOWN
        assert settled.next_check_at is not None
    else:
        assert settled.state in (State.FAILED, State.SUPPRESSED)
        assert settled.next_check_at is None


@pytest.mark.parametrize(("channel", "code"), CODES)
def test_no_code_is_tried_for_ever(channel: Channel, code: str) -> None:
    error = TABLES[channel].classify(code)
    attempts, tries = 0, 0
    while tries < 100:
        settled = settle(ready(channel, attempts=attempts), "token", error, RenderRecord("en"), NOW, DICE)
        attempts, tries = settled.attempts, tries + 1
        if settled.next_check_at is None:
            break

    if was_tried(ready(channel), error):
        assert tries == attempts <= 30
        assert settled.reason == ("attempts_exhausted" if tries > 1 else error.kind)
    else:
        assert (attempts, settled.state) == (0, State.PENDING)


@pytest.mark.parametrize("channel", TABLES)
@pytest.mark.parametrize("code", ["busy", "paced", "resting"])
def test_what_was_only_held_back_counts_as_no_try_and_comes_back_when_told(channel: Channel, code: str) -> None:
    held = TABLES[channel].classify(code, retry_after=7.0)

    settled = settle(ready(channel, attempts=3), "token", held, RenderRecord("en"), NOW, DICE)

    assert not was_tried(ready(channel), held)
    assert (settled.attempts, settled.state) == (3, State.PENDING)
    assert 7 * SECOND <= settled.due_at - NOW <= 8 * SECOND


@given(st.sampled_from(CODES), st.integers(0, 40), st.integers(1, 2 * DAY), st.none() | st.floats(0, 1e7))
def test_nothing_is_due_when_it_is_of_no_use_any_more(
    where: tuple[Channel, str], attempts: int, left: int, asked: float | None
) -> None:
    channel, code = where
    delivery = ready(channel, attempts=attempts, expires_in=left)

    settled = settle(
        delivery, "token", TABLES[channel].classify(code, retry_after=asked), RenderRecord("en"), NOW, DICE
    )

    if settled.state == State.PENDING:
        assert settled.due_at < delivery.expires_at


def test_an_error_without_a_code_waits_by_its_kind() -> None:
    error = Unavailable("fcm", "ClientConnectorError", "no connection")

    settled = settle(ready(PUSH), "token", error, RenderRecord("en"), NOW, DICE)

    assert settled.due_at >= NOW + 10 * SECOND


def test_where_the_answer_is_the_receipt_the_person_has_it() -> None:
    taken = settle(ready(PUSH), "token", Receipt("main", "1"), RenderRecord("en"), NOW, DICE)
    arrived = settle(ready(PUSH), "token", Receipt("main", "1", delivered=True), RenderRecord("en"), NOW, DICE)

    check_moves([(State.SENDING, taken.state), (State.SENDING, arrived.state)])
    assert (taken.state, arrived.state) == (State.SENT, State.DELIVERED)
    assert (arrived.provider, arrived.provider_reference, arrived.next_check_at) == ("main", "1", None)


@pytest.mark.parametrize("outcome", [Receipt("main", "1"), sms.CODES.classify("21211")])
def test_what_was_tried_is_counted_and_told_with_its_provider(outcome: Receipt | SendError) -> None:
    settled = settle(ready(SMS, attempts=2), "token", outcome, RenderRecord("en"), NOW, DICE)

    assert (settled.attempts, settled.provider) == (3, outcome.provider)


def test_every_http_request_is_over_while_its_lease_lasts() -> None:
    """Mail servers may take longer (RFC 5321 §4.5.3.2): for them leases are renewed."""
    # Given the longest that each channel's transport takes
    longest = {
        PUSH: tokens.WAIT + http.TOTAL_TIMEOUT,
        SMS: http.TOTAL_TIMEOUT,
    }

    # When it begins as late as it may, then there is a second left
    for seconds in longest.values():
        assert BEGIN_WITHIN + seconds <= (LEASE - FENCE) / SECOND - 1
