"""Texts over real connections: taken, refused, lost."""

import asyncio
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest

from notifier.channels.sms.codes import CODES
from notifier.channels.sms.messages import SmsContent
from notifier.channels.sms.transport import TwilioTransport
from notifier.domain.clock import SECOND, ManualClock
from notifier.domain.errors import (
    SEND_ERRORS,
    AddressGone,
    ConfigurationError,
    Misconfigured,
    OptedOut,
    OutcomeUnknown,
    Refused,
    SendError,
    Throttled,
    Unavailable,
)
from notifier.domain.messages import Receipt
from tests.channels import canary
from tests.channels.provider import Handler, Provider, drop, half, hold, quick, reply, reply_raw, silence
from tests.channels.sms.samples import ACCOUNT, CREATE, SENDER, created, problem, refusal, text


async def test_a_text_that_is_taken_has_twilios_sid(twilio: TwilioTransport, provider: Provider) -> None:
    # When
    receipt = await twilio.send(text())

    # Then
    assert receipt == Receipt("twilio", "SM" + "1" * 32)
    assert provider.seen[0].form == {
        "To": canary.PHONE,
        "From": SENDER,
        "Body": canary.TEXT,
        "ValidityPeriod": "1800",
        "StatusCallback": f"https://api.example/twilio?reference={'5f' * 16}",
    }
    assert provider.seen[0].headers["Authorization"].startswith("Basic ")


@pytest.mark.parametrize(("time_to_live", "validity"), [(-5, "1"), (0, "1"), (36_000, "36000"), (10**9, "36000")])
async def test_the_validity_period_is_the_time_to_live_within_twilios_limits(
    twilio: TwilioTransport, provider: Provider, time_to_live: int, validity: str
) -> None:
    await twilio.send(text(time_to_live=time_to_live))
    assert provider.seen[0].form["ValidityPeriod"] == validity


@pytest.mark.parametrize("body", ["Größe: 12 € – да 🔌\n&=+%", "lone \ud800 half"])
async def test_any_text_arrives(twilio: TwilioTransport, provider: Provider, body: str) -> None:
    await twilio.send(text(content=SmsContent(text=body)))
    assert provider.seen[0].form["Body"] == body.replace("\ud800", "?")


@pytest.mark.parametrize(
    ("sender", "field"), [("MG" + "a" * 32, "MessagingServiceSid"), ("Voltline", "From"), ("MGMT", "From")]
)
async def test_a_messaging_service_and_other_senders(
    provider: Provider, clock: ManualClock, sender: str, field: str
) -> None:
    # Given
    provider.answers(CREATE, reply(201, created()))
    transport = TwilioTransport(
        ACCOUNT, canary.SECRET, sender, clock=clock, base_url=provider.url, callback_url="https://api.example/?a=1"
    )

    # When
    await transport.send(text())
    await transport.close()

    # Then
    form = provider.seen[0].form
    assert form[field] == sender
    assert len({"From", "MessagingServiceSid"} & form.keys()) == 1
    assert form["StatusCallback"] == f"https://api.example/?a=1&reference={'5f' * 16}"


async def test_no_callback_is_asked_for_without_an_address(provider: Provider, clock: ManualClock) -> None:
    # Given
    provider.answers(CREATE, reply(201, created()))
    transport = TwilioTransport(ACCOUNT, canary.SECRET, SENDER, clock=clock, base_url=provider.url)

    # When
    await transport.send(text())
    await transport.close()

    # Then
    assert "StatusCallback" not in provider.seen[0].form


async def test_the_environment_does_not_lead_texts_elsewhere(
    provider: Provider, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given variables that the SDK would put into the address
    monkeypatch.setenv("TWILIO_EDGE", "sydney")
    monkeypatch.setenv("TWILIO_REGION", "au1")
    provider.answers(CREATE, reply(201, created()))
    transport = TwilioTransport(ACCOUNT, canary.SECRET, SENDER, clock=clock, base_url=provider.url)

    # When
    await transport.send(text())
    await transport.close()

    # Then
    assert len(provider.seen) == 1


@pytest.mark.parametrize(
    ("http", "code", "kind"),
    [
        (400, 21211, AddressGone),
        (400, 21614, AddressGone),
        (400, 21635, AddressGone),
        (400, 21610, OptedOut),
        (400, 21408, Refused),
        (400, 21612, Refused),
        (400, 21617, Refused),
        (400, 21606, Misconfigured),
        (401, 20003, Misconfigured),
        (404, 20404, Misconfigured),
        (429, 20429, Throttled),
        (500, 20500, OutcomeUnknown),
        (503, 20503, Unavailable),
        (400, 29999, Refused),
    ],
)
@pytest.mark.parametrize("written", [refusal, problem])
async def test_each_refusal_is_told_apart_in_either_format(
    twilio: TwilioTransport, provider: Provider, caplog: pytest.LogCaptureFixture,
    http: int, code: int, kind: type[SendError], written: Callable[[int, int], dict[str, Any]],
) -> None:  # fmt: skip
    # Given
    provider.answers(CREATE, reply(http, written(code, http)))

    # When
    with pytest.raises(kind) as failed:
        await twilio.send(text())

    # Then
    assert failed.value.code == str(code)
    assert canary.shown(failed.value, caplog) == []


@pytest.mark.parametrize("code", [code for code in CODES.codes if len(code) == 5 and code.isdecimal()])
async def test_every_code_in_the_table_comes_out_as_its_kind(
    twilio: TwilioTransport, provider: Provider, code: str
) -> None:
    # Given
    provider.answers(CREATE, reply(400, refusal(int(code))))

    # When
    with pytest.raises(SEND_ERRORS[CODES.codes[code].kind]) as failed:
        await twilio.send(text())

    # Then
    assert failed.value.code == code


@pytest.mark.parametrize(
    ("http", "kind"),
    [
        (301, Misconfigured), (400, Refused), (401, Misconfigured), (403, Misconfigured), (404, Misconfigured),
        (418, Refused), (429, Throttled), (500, OutcomeUnknown), (502, OutcomeUnknown), (503, Unavailable),
        (504, OutcomeUnknown),
    ],
)  # fmt: skip
@pytest.mark.parametrize("body", [b"", b"<html>", b'{"code": "canary text"}', b"[]", b"\xff"])
async def test_an_answer_without_a_code_is_judged_by_its_status(
    twilio: TwilioTransport, provider: Provider, http: int, kind: type[SendError], body: bytes
) -> None:
    # Given
    provider.answers(CREATE, reply_raw(http, body))

    # When
    with pytest.raises(kind) as failed:
        await twilio.send(text())

    # Then
    assert failed.value.code == str(http)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"sid": null}', b"\xff"])
async def test_a_success_that_names_no_message_is_unknown(
    twilio: TwilioTransport, provider: Provider, body: bytes
) -> None:
    # Given
    provider.answers(CREATE, reply_raw(201, body))

    # When / Then
    with pytest.raises(OutcomeUnknown):
        await twilio.send(text())


async def test_a_text_that_failed_as_it_was_created_is_no_success(twilio: TwilioTransport, provider: Provider) -> None:
    # Given
    provider.answers(CREATE, reply(201, created(status="failed", error_code=30005)))

    # When / Then
    with pytest.raises(AddressGone):
        await twilio.send(text())


async def test_retry_after_is_heard_as_seconds_and_as_a_date(
    twilio: TwilioTransport, provider: Provider, clock: ManualClock
) -> None:
    # Given
    date = formatdate(clock.now() / SECOND + 90, usegmt=True)
    provider.answers(
        CREATE,
        reply(429, refusal(20429, 429), {"Retry-After": "7"}),
        reply(503, refusal(20503, 503), {"Retry-After": date}),
    )

    # When
    with pytest.raises(Throttled) as throttled:
        await twilio.send(text())
    with pytest.raises(Unavailable) as unavailable:
        await twilio.send(text())

    # Then
    assert throttled.value.retry_after == 7
    assert unavailable.value.retry_after == pytest.approx(90, abs=1)


@pytest.mark.parametrize("answer", [drop, half, silence])
@quick
async def test_a_text_whose_answer_is_lost_is_unknown(
    twilio: TwilioTransport, provider: Provider, caplog: pytest.LogCaptureFixture, answer: Handler
) -> None:
    # Given
    provider.answers(CREATE, answer)

    # When
    with pytest.raises(OutcomeUnknown) as failed:
        await twilio.send(text())

    # Then it was sent once
    assert len(provider.seen) == 1
    assert canary.shown(failed.value, caplog) == []


async def test_a_text_that_twilio_never_saw_can_be_tried_again(clock: ManualClock, unused_tcp_port: int) -> None:
    # Given nobody who listens
    address = f"http://127.0.0.1:{unused_tcp_port}"
    transport = TwilioTransport(ACCOUNT, canary.SECRET, SENDER, clock=clock, base_url=address)

    # When / Then
    with pytest.raises(Unavailable):
        await transport.send(text())
    await transport.close()


async def test_two_hundred_texts_share_the_pool(twilio: TwilioTransport, provider: Provider) -> None:
    # Given
    provider.answers(CREATE, hold)

    # When
    receipts = await asyncio.gather(*(twilio.send(text(to=f"+4915112{number:06}")) for number in range(200)))

    # Then all arrive, each once, never more at a time than there are connections
    assert len(receipts) == 200
    assert sorted(seen.form["To"] for seen in provider.seen) == [f"+4915112{number:06}" for number in range(200)]
    assert provider.most_under_way <= 20


async def test_success_leaves_no_trace_in_the_log(
    twilio: TwilioTransport, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    # When
    await twilio.send(text())

    # Then
    assert [secret for secret in canary.ALL if secret in caplog.text] == []


@pytest.mark.parametrize("missing", [("", "t", SENDER), (ACCOUNT, "", SENDER), (ACCOUNT, "t", "")])
async def test_an_account_that_is_not_whole_is_refused(clock: ManualClock, missing: tuple[str, str, str]) -> None:
    with pytest.raises(ConfigurationError, match="account SID"):
        TwilioTransport(*missing, clock=clock)


async def test_an_address_that_is_none_is_refused_and_leaves_nothing_open(clock: ManualClock) -> None:
    with pytest.raises(ConfigurationError, match="https://host"):
        TwilioTransport(ACCOUNT, canary.SECRET, SENDER, clock=clock, base_url="api.twilio.com")


@pytest.mark.parametrize("field", ["sid", "to", "body", "date_created"])
@pytest.mark.parametrize("value", [None, "", "Thu, 99 Aug 2023 99:01:45 +0000", "24 Aug 99999999999 05:01 +0000"])
async def test_a_listed_text_that_lacks_something_is_passed_over(
    twilio: TwilioTransport, provider: Provider, field: str, value: str | None
) -> None:
    # Given Twilio's list, in which another text stands before ours that lacks something
    odd, ours = created(**{"sid": "SM" + "2" * 32, "body": "another", field: value}), created()
    provider.answers(CREATE, reply(200, {"messages": [odd, ours]}))

    # When it is asked for ours, then it is found
    assert await twilio.find(text(), since=0) == Receipt("twilio", ours["sid"])
