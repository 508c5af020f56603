"""Celery and Apprise: a task per message, each person's addresses as Apprise URLs.

It renders the same texts. It has no database: no event or delivery is recorded, nothing is retried or kept from being
told twice, and there is no policy. Apprise's brakes are off (5.5 s between two calls of FCM's plugin), and people's
Apprise objects stay from task to task. Where the job says so it is helped: what it makes anew for every message is made
once, by reaching into it: Google's token (50 ms of CPU a push) and a TLS context (34 ms a mail, though nothing is
encrypted).
"""

import ssl
from functools import cache, cached_property
from typing import Any
from urllib.parse import quote

from apprise import Apprise, NotifyFormat
from apprise.plugins.email.base import NotifyEmail
from apprise.plugins.fcm import NotifyFCM
from apprise.plugins.twilio import NotifyTwilio
from celery import Celery

from bench.peers import job as jobs
from bench.peers import texts
from bench.peers.job import Person
from notifier.runtime.guard import refuse_everything_but_loopback

refuse_everything_but_loopback()
job = jobs.read()
PROJECT = "notifier-sandbox"
app = Celery("celery_apprise", broker=job.broker_url)
app.conf.update(task_ignore_result=True, worker_hijack_root_logger=False)
app.conf.broker_transport_options = {"global_keyprefix": "celery_apprise:"}
people = {person.id: person for person in job.people}

NotifyFCM.notify_oauth2_url = f"{job.http_url}/v1/projects/{{project}}/messages:send"
NotifyTwilio.notify_sms_url = f"{job.http_url}/2010-04-01/Accounts/{{sid}}/Messages.json"
for plugin in (NotifyFCM, NotifyTwilio, NotifyEmail):
    plugin.request_rate_per_sec = 0
if job.helped:
    kept_token = cached_property(NotifyFCM.access_token.fget)
    kept_token.__set_name__(NotifyFCM, "access_token")
    NotifyFCM.access_token = kept_token
    ssl.create_default_context = cache(ssl.create_default_context)  # type: ignore[assignment]


@cache
def notifier(person_id: str, channel: str) -> Apprise:
    """What reaches a person on a channel."""
    person, (sid, secret) = people[person_id], job.twilio
    urls = {
        "push": f"fcm://{PROJECT}/{person.token}/?mode=oauth2&keyfile={quote(job.service_account)}",
        "sms": f"twilio://{sid}:{secret}@15005550006/{person.phone}",
        "email": f"mailto://127.0.0.1:{job.smtp_port}?mode=insecure&from=notifier@example.com&to={person.email}",
    }
    found = Apprise()
    if not found.add(urls[channel]):
        raise ValueError(f"Apprise doesn't take the URL of {channel}")
    return found


def report(person: Person, data: dict[str, Any]) -> None:
    """Take an event."""
    for channel in person.channels:
        send.delay(channel, person.id, data)


@app.task(name="send")  # type: ignore[untyped-decorator]
def send(channel: str, person_id: str, data: dict[str, Any]) -> None:
    locale, to = people[person_id].locale, notifier(person_id, channel)
    match channel:
        case "push":
            title, body = (texts.render(f"push.{part}", locale, data) for part in ("title", "body"))
            taken = to.notify(title=title, body=body)
        case "sms":
            taken = to.notify(body=texts.render("sms.text", locale, data))
        case _:
            letter = texts.letter(locale, data)
            taken = to.notify(title=letter.subject, body=letter.html, body_format=NotifyFormat.HTML)
    if not taken:
        raise RuntimeError(f"Apprise could not hand over a message by {channel}")


if __name__ == "__main__":
    jobs.wait_for_start()
    for number in range(job.first, job.last):
        report(job.person(number), jobs.data(number))
