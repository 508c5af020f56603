"""Incoming keywords: the request of a person's text is carried out at once, and confirmed once."""

from notifier.channels.sms.inbound import IncomingText, Keyword, read_word
from notifier.channels.sms.messages import NUMBER
from notifier.domain.deliveries import Channel
from notifier.store.core.database import Database
from notifier.store.people import inbound, recipients, suppressions


async def heed(database: Database, text: IncomingText, now: int) -> tuple[Keyword, str | None] | None:
    """Carry out the request of an incoming text.

    Return what to confirm, and in which locale; None without a reply: where the text asked for nothing, changes
    nothing, is a repeat, or was answered by Twilio.
    """
    word = read_word(text)
    if word is None or not NUMBER.fullmatch(text.number):
        return None
    key = (await suppressions.address_key(database))(Channel("sms"), text.number)
    match word:
        case Keyword.STOP:
            news = await inbound.stop(database, text.sid, key, now)
        case Keyword.START:
            news = await inbound.start(database, text.sid, key, now)
        case Keyword.HELP:
            news = True
    return (word, await recipients.locale_of(database, key)) if news and not text.opt_out_type else None
