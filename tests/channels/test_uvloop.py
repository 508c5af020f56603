"""The same transports on uvloop's loop, which is the one that workers run: its sockets and its TLS are its own."""

import asyncio
import ssl

import uvloop

from notifier.channels.email.sandbox import LOGIN
from notifier.channels.email.transport import Security, SmtpTransport
from notifier.channels.push.transport import FcmTransport
from notifier.channels.sms.sandbox import ACCOUNT_SID, AUTH_TOKEN
from notifier.channels.sms.transport import TwilioTransport
from notifier.domain.clock import SystemClock
from notifier.domain.errors import OutcomeUnknown
from notifier.sandbox import FaultRule, Sandbox
from tests.channels.email.samples import SENDER, mail
from tests.channels.push.samples import push
from tests.channels.sms.samples import SENDER as NUMBER
from tests.channels.sms.samples import text
from tests.named import EMAIL, PUSH, SMS
from tests.stand_ins import certificate, service_account


def accepted(sandbox: Sandbox) -> list[int]:
    return [sandbox.ledger.tallies[channel].accepted for channel in (PUSH, SMS, EMAIL)]


def test_messages_are_taken_and_lost_ones_are_unknown() -> None:
    async def scenario() -> None:
        clock = SystemClock()
        async with Sandbox() as sandbox:
            # Given
            fcm = FcmTransport(service_account(sandbox), clock=clock, base_url=sandbox.http_url)
            twilio = TwilioTransport(ACCOUNT_SID, AUTH_TOKEN, NUMBER, clock=clock, base_url=sandbox.http_url)
            username, password = LOGIN
            smtp = SmtpTransport(
                "127.0.0.1", sandbox.ports["smtp"], Security.STARTTLS, SENDER, clock=clock, username=username,
                password=password, tls_context=ssl.create_default_context(cadata=certificate(sandbox).decode()),
            )  # fmt: skip

            # When
            for _ in range(20):
                await asyncio.gather(fcm.send(push()), twilio.send(text()), smtp.send(mail()))

            # Then
            assert accepted(sandbox) == [20, 20, 20]

            # When the connections break behind the messages
            sandbox.faults.add(
                FaultRule(channel="push", action="drop_after", times=1),
                FaultRule(channel="sms", action="drop_after", times=1),
                FaultRule(channel="email", action="drop_after", times=1),
            )
            outcomes = await asyncio.gather(
                fcm.send(push()), twilio.send(text()), smtp.send(mail()), return_exceptions=True
            )

            # Then
            assert [type(outcome) for outcome in outcomes] == [OutcomeUnknown] * 3
            assert accepted(sandbox) == [21, 21, 21]
            for transport in (fcm, twilio, smtp):
                await transport.close()

    uvloop.run(scenario())
