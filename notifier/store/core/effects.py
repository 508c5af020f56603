"""Tables of what messages achieve: what is counted of them, what is still awaited or to be judged, and how far the log
was counted."""

from sqlalchemy import BigInteger, Column, Index, Integer, SmallInteger, Table

from notifier.store.core.columns import ID, MYSQL_OPTIONS, NAME, WORD, metadata

effect = Table(  # so many of a kind more; a day's rows are of its first hour once they are no longer told by hours
    "effect",
    metadata,
    Column("id", ID, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("hour", Integer, nullable=False),  # since 1970, in which the message was decided
    Column("after", SmallInteger, nullable=False),
    Column("type", NAME, nullable=False),
    Column("channel", WORD, nullable=False),
    Column("locale", WORD, nullable=False),
    Column("variant", NAME, nullable=False),
    Column("what", WORD, nullable=False),
    **MYSQL_OPTIONS,
)

awaited_outcome = Table(  # of one person who was to be told, until it has come or its time is over; it names nobody
    "awaited_outcome",
    metadata,
    Column("id", ID, primary_key=True),
    Column("subject_key", ID, nullable=False),
    Column("decided_at", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("answered_at", BigInteger),
    Column("next_check_at", BigInteger, nullable=False),
    Column("type", NAME, nullable=False),
    Column("channels", NAME, nullable=False),
    Column("locale", WORD, nullable=False),
    Column("variant", NAME, nullable=False),
    Column("person", ID),
    **MYSQL_OPTIONS,
)

exposure = Table(  # of a person to an experiment, by a hash of both: who was counted isn't counted again
    "exposure",
    metadata,
    Column("id", ID, primary_key=True),
    Column("experiment", NAME, nullable=False),
    **MYSQL_OPTIONS,
)

click = Table(  # a link of a delivery that was followed, until it is judged; `link` tells those of one delivery apart
    "click",
    metadata,
    Column("delivery_id", ID, primary_key=True),
    Column("link", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    **MYSQL_OPTIONS,
)

effect_place = Table(  # one row: the position in the log of changes up to which it is counted
    "effect_place",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
    **MYSQL_OPTIONS,
)

campaign = Table(  # an event of marketing that addresses a segment: its mails, and whether it goes on
    "campaign",
    metadata,
    Column("event_id", ID, primary_key=True),
    Column("sent", BigInteger, nullable=False),
    Column("undelivered", BigInteger, nullable=False),
    Column("complained", BigInteger, nullable=False),
    Column("paused_at", BigInteger),
    Column("handled_at", BigInteger),
    Column("next_check_at", BigInteger),
    Column("state", WORD, nullable=False),
    Column("reason", WORD),
    **MYSQL_OPTIONS,
)

Index("ix_campaign_next_check_at", campaign.c.next_check_at)  # which have counted more, or are to go on?
Index("ix_campaign_state", campaign.c.state, campaign.c.paused_at, campaign.c.event_id)  # which wait for a person?
Index("ix_effect_hour", effect.c.hour)  # what was achieved since then?
Index("ix_effect_type", effect.c.type, effect.c.hour)  # and by messages of this type?
Index("ix_click_at", click.c.at)  # which are to be judged?
Index("ix_awaited_outcome_subject_key", awaited_outcome.c.subject_key)  # who is answered by an event about this?
Index("ix_awaited_outcome_next_check_at", awaited_outcome.c.next_check_at)  # what has come, or doesn't come any more?
Index("ix_exposure_experiment", exposure.c.experiment)  # whom does nobody ask about any more?
