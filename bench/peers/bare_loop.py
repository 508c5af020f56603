"""The bare loop: bytes that were prepared before, down our own transports. No queue, no database, no policy, no
rendering, no composing, no retry: what the same wires carry from two processes on this machine at most.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import uvloop

from bench.peers import job as jobs
from bench.peers import texts
from bench.peers.job import Job
from notifier.channels.email import settings as email
from notifier.channels.email.dialogue import AT_ONCE, OutgoingMail
from notifier.channels.email.messages import EmailContent, EmailMessage
from notifier.channels.email.mime import compose, make_sender, return_path
from notifier.channels.email.transport import Security, SmtpTransport
from notifier.channels.push import settings as push
from notifier.channels.push.message import encode
from notifier.channels.push.messages import PushContent, PushMessage
from notifier.channels.push.transport import FcmTransport
from notifier.channels.sms import settings as sms
from notifier.channels.sms.messages import SmsContent, SmsMessage
from notifier.channels.sms.transport import TwilioTransport
from notifier.domain.clock import SystemClock
from notifier.domain.messages import Device
from notifier.runtime.guard import refuse_everything_but_loopback

Send = Callable[[], Awaitable[object]]

TOGETHER = 100  # pushes and texts under way at once, each
LINK = f"{texts.HOME}/billing"


class Bare:
    """Makes sends of prepared bytes. It reaches into the transports, where the bytes go."""

    def __init__(self, job: Job) -> None:
        (fcm,) = push.ACCOUNTS.read(f"fcm://{quote(job.service_account)}?url={job.http_url}")
        (twilio,) = sms.ACCOUNTS.read(
            f"twilio+{job.http_url.replace('//', '//' + ':'.join(job.twilio) + '@')}?from=+15005550006"
        )
        (smtp,) = email.ACCOUNTS.read(f"smtp://127.0.0.1:{job.smtp_port}")
        self._clock = SystemClock()
        self._push = FcmTransport(Path(fcm.service_account), clock=self._clock, base_url=fcm.url)
        self._sms = TwilioTransport(
            twilio.sid, twilio.token, twilio.sender, clock=self._clock, base_url=twilio.url,
            callback_url="http://127.0.0.1/v1/receipts/twilio",
        )  # fmt: skip
        self._sender = make_sender("notifier@localhost", texts.BRAND)
        self._email = SmtpTransport(smtp.host, smtp.port, Security.NONE, self._sender.address, clock=self._clock)

    def push(self, bearer: str, token: str, title: str, body: str) -> Send:
        message = PushMessage(
            reference=secrets.token_hex(16), device=Device(value=token),
            content=PushContent(title=title, body=body, link=LINK), notification_type="payment-failed",
            collapse_key=secrets.token_hex(16), time_to_live=86_400, urgency="high",
        )  # fmt: skip
        content, head = encode(message, self._clock.now()), b"Authorization: %b\r\n" % bearer.encode()
        http, target = self._push._http, self._push._target  # noqa: SLF001
        return lambda: http.post(target, content, head)

    def text(self, to: str, text: str) -> Send:
        message = SmsMessage(
            reference=secrets.token_hex(16), to=to, content=SmsContent(text=text), time_to_live=36_000
        )  # fmt: skip
        form = self._sms._form(message)  # noqa: SLF001
        http, target = self._sms._http, self._sms._messages  # noqa: SLF001
        return lambda: http.post(target, form)

    def mail(self, to: str, name: str, letter: texts.Letter) -> Send:
        message = EmailMessage(
            reference=secrets.token_hex(16), to=to, to_name=name, content=EmailContent(**letter._asdict()),
            unsubscribe_url=None,
        )  # fmt: skip
        content, bounces_to = compose(message, self._sender, to, self._clock.now()), return_path(message, self._sender)
        connections = self._email._connections  # noqa: SLF001
        return lambda: connections.send(OutgoingMail(bounces_to, to, content, 60.0))

    async def bearer(self) -> str:
        """A token that stays good for the whole run."""
        return await self._push._tokens.bearer()  # noqa: SLF001

    async def close(self) -> None:
        for transport in (self._push, self._sms, self._email):
            await transport.close()


async def main() -> None:
    """Prepare everything, wait, send."""
    job = jobs.read()
    bare = Bare(job)
    bearer = await bare.bearer()
    sends: dict[str, list[Send]] = {"push": [], "sms": [], "email": []}
    for number in range(job.first, job.last):
        person, data = job.person(number), jobs.data(number)
        if person.token:
            title, body = (texts.render(f"push.{part}", person.locale, data) for part in ("title", "body"))
            sends["push"].append(bare.push(bearer, person.token, title, body))
        if person.phone:
            sends["sms"].append(bare.text(person.phone, texts.render("sms.text", person.locale, data)))
        if person.email:
            sends["email"].append(bare.mail(person.email, person.name, texts.letter(person.locale, data)))
    await asyncio.to_thread(jobs.wait_for_start)
    together = {"push": TOGETHER, "sms": TOGETHER, "email": 10 * AT_ONCE}
    await asyncio.gather(
        *(_sender(waiting) for channel, each in sends.items() for waiting in [iter(each)] * together[channel])
    )
    await bare.close()


async def _sender(waiting: Iterator[Send]) -> None:
    for send in waiting:
        await send()


if __name__ == "__main__":
    refuse_everything_but_loopback()
    uvloop.run(main())
