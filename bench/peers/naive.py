"""The afternoon's version: Dramatiq as its guide shows it, an actor per channel, firebase-admin, Twilio's client, a
SMTP connection per mail, SQLAlchemy's ORM with a row at a time.

It has retries (Dramatiq's) and a record of each event and delivery. It has no policy, no consent, no time to live, no
pacing, no receipts, no explanation, and an event that is reported twice is told twice.
"""

import smtplib
from email.message import EmailMessage
from typing import Any

import dramatiq
import firebase_admin
import sqlalchemy as sa
from dramatiq.brokers.redis import RedisBroker
from firebase_admin import credentials, messaging
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from bench.peers import job as jobs
from bench.peers import texts
from notifier.runtime.guard import refuse_everything_but_loopback

refuse_everything_but_loopback()
job = jobs.read()
dramatiq.set_broker(RedisBroker(url=job.broker_url, namespace="naive"))  # type: ignore[no-untyped-call]
engine = sa.create_engine(job.database_url)
messaging._MessagingService.FCM_URL = f"{job.http_url}/v1/projects/{{0}}/messages:send"  # noqa: SLF001 (it can't be set)
firebase_admin.initialize_app(credentials.Certificate(job.service_account))


class Redirected(TwilioHttpClient):  # type: ignore[misc]
    """Twilio's client, its requests going to the stand-in."""

    def request(self, method: str, url: str, *more: Any, **named: Any) -> Any:
        return super().request(method, url.replace("https://api.twilio.com", job.http_url), *more, **named)


twilio = Client(*job.twilio, http_client=Redirected())


class Base(DeclarativeBase):
    pass


class Person(Base):
    __tablename__ = "naive_person"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    locale: Mapped[str]
    email: Mapped[str | None]
    phone: Mapped[str | None]
    token: Mapped[str | None]


class Event(Base):
    __tablename__ = "naive_event"

    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[str] = mapped_column(sa.ForeignKey(Person.id))
    data: Mapped[dict[str, Any]] = mapped_column(sa.JSON)


class Delivery(Base):
    __tablename__ = "naive_delivery"

    id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[int] = mapped_column(sa.ForeignKey(Event.id), index=True)
    channel: Mapped[str]
    status: Mapped[str] = mapped_column(default="pending")
    provider_id: Mapped[str | None]


def report(person_id: str, data: dict[str, Any]) -> None:
    """Take an event."""
    with Session(engine) as session:
        event = Event(person_id=person_id, data=data)
        session.add(event)
        session.commit()
        notify.send(event.id)


@dramatiq.actor
def notify(event_id: int) -> None:
    with Session(engine) as session:
        event = session.get_one(Event, event_id)
        person = session.get_one(Person, event.person_id)
        actors = {
            "push": (send_push, person.token),
            "sms": (send_sms, person.phone),
            "email": (send_mail, person.email),
        }
        for channel, (actor, address) in actors.items():
            if address:
                delivery = Delivery(event_id=event.id, channel=channel)
                session.add(delivery)
                session.commit()
                actor.send(delivery.id)


def _load(session: Session, delivery_id: int) -> tuple[Delivery, Event, Person]:
    delivery = session.get_one(Delivery, delivery_id)
    event = session.get_one(Event, delivery.event_id)
    return delivery, event, session.get_one(Person, event.person_id)


def _sent(session: Session, delivery: Delivery, provider_id: str | None = None) -> None:
    delivery.status, delivery.provider_id = "sent", provider_id
    session.commit()


@dramatiq.actor
def send_push(delivery_id: int) -> None:
    with Session(engine) as session:
        delivery, event, person = _load(session, delivery_id)
        title, body = (texts.render(f"push.{part}", person.locale, event.data) for part in ("title", "body"))
        message = messaging.Message(
            notification=messaging.Notification(title=title, body=body),
            data={"reference": str(delivery.id)},
            android=messaging.AndroidConfig(priority="high", ttl=86_400),
            token=person.token,
        )
        _sent(session, delivery, messaging.send(message))


@dramatiq.actor
def send_sms(delivery_id: int) -> None:
    with Session(engine) as session:
        delivery, event, person = _load(session, delivery_id)
        text = texts.render("sms.text", person.locale, event.data)
        _sent(session, delivery, twilio.messages.create(to=str(person.phone), from_="+15005550006", body=text).sid)


@dramatiq.actor
def send_mail(delivery_id: int) -> None:
    with Session(engine) as session:
        delivery, event, person = _load(session, delivery_id)
        letter = texts.letter(person.locale, event.data)
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = "notifier@localhost", person.email, letter.subject
        mail["Message-ID"] = f"<naive-{delivery.id}@localhost>"
        mail.set_content(letter.text)
        mail.add_alternative(letter.html, subtype="html")
        with smtplib.SMTP("127.0.0.1", job.smtp_port) as smtp:
            smtp.send_message(mail)
        _sent(session, delivery)


def main() -> None:
    """Make the tables once, then report."""
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        for person in job.people:
            session.merge(
                Person(
                    id=person.id, name=person.name, locale=person.locale, email=person.email, phone=person.phone,
                    token=person.token,
                )
            )  # fmt: skip
        session.commit()
    jobs.wait_for_start()
    for number in range(job.first, job.last):
        report(job.person(number).id, jobs.data(number))


if __name__ == "__main__":
    main()
