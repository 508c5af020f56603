"""Tables of stations: places, their ports, what the ports said, and who waits for them. They are the network's, and all
buckets share them.

Whoever writes a place or a port locks the row of `station_revision` first and raises its number, which stands in each
row that is changed. So those who write follow each other, and who has read all rows up to a number has missed none.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, SmallInteger, String, Table

from notifier.store.core.columns import DOCUMENT, ID, MYSQL_OPTIONS, NAME, WORD, metadata

station_revision = Table(  # one row
    "station_revision",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    **MYSQL_OPTIONS,
)

location = Table(  # `document` is what its owner put, without its ports
    "location",
    metadata,
    Column("id", NAME, primary_key=True),
    Column("party", WORD, nullable=False),
    Column("name", String(255), nullable=False),
    Column("address", String(200), nullable=False),
    Column("city", String(200), nullable=False),
    Column("country", WORD, nullable=False),
    Column("operator", String(255), nullable=False),
    Column("time_zone", String(64)),
    Column("latitude", BigInteger, nullable=False),  # in millionths of a degree: 11 cm
    Column("longitude", BigInteger, nullable=False),
    Column("hidden", SmallInteger, nullable=False),
    Column("last_updated", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("document", DOCUMENT, nullable=False),
    **MYSQL_OPTIONS,
)

evse = Table(  # a port as it is; `document` is what its owner put, of which the status is told by the columns
    "evse",
    metadata,
    Column("id", NAME, primary_key=True),
    Column("location_id", NAME, nullable=False),
    Column("uid", NAME, nullable=False),
    Column("connectors", DOCUMENT, nullable=False),
    Column("station", NAME),
    Column("port", Integer),
    Column("source", WORD, nullable=False),
    Column("status", WORD, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("last_updated", BigInteger, nullable=False),
    Column("heard_at", BigInteger, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("settled", SmallInteger, nullable=False),
    Column("next_check_at", BigInteger),
    Column("revision", BigInteger, nullable=False),
    Column("document", DOCUMENT, nullable=False),
    **MYSQL_OPTIONS,
)

evse_status = Table(  # what a port said before; its id begins with the instant
    "evse_status",
    metadata,
    Column("id", ID, primary_key=True),
    Column("evse_id", NAME, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("status", WORD, nullable=False),
    **MYSQL_OPTIONS,
)

availability_alert = Table(  # who waits at a place for a free port, and what they were offered
    "availability_alert",
    metadata,
    Column("id", ID, primary_key=True),
    Column("location_id", NAME, nullable=False),
    Column("recipient_id", NAME, nullable=False),
    Column("connector", WORD),
    Column("asked_at", BigInteger, nullable=False),
    Column("state", WORD, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("ended", WORD),
    Column("evse_id", NAME),
    Column("epoch", Integer),
    Column("tell_at", BigInteger),
    Column("next_check_at", BigInteger, nullable=False),
    **MYSQL_OPTIONS,
)

Index("ix_location_revision", location.c.revision)  # what has changed since I read?
Index("ix_location_party", location.c.party, location.c.last_updated)  # what has this party put?
Index("ix_evse_revision", evse.c.revision)  # what has changed since I read?
Index("ix_evse_location_id", evse.c.location_id)  # which ports has this place?
Index("ix_evse_station", evse.c.station)  # which ports has this station of OCPP?
Index("ix_evse_next_check_at", evse.c.next_check_at)  # which ports does time change next?
Index("ix_evse_status_evse_id", evse_status.c.evse_id, evse_status.c.at)  # what did this port say before?
# Who waits at this place, and who asked last?
Index("ix_availability_alert_location_id", availability_alert.c.location_id, availability_alert.c.asked_at)
Index("ix_availability_alert_recipient_id", availability_alert.c.recipient_id)  # for what does this person wait?
Index("ix_availability_alert_next_check_at", availability_alert.c.next_check_at)  # which places are to be looked at?
Index(  # who has not been told yet of an offer?
    "ix_availability_alert_tell_at", availability_alert.c.tell_at,
    postgresql_where=availability_alert.c.tell_at.is_not(None),
    sqlite_where=availability_alert.c.tell_at.is_not(None),
)  # fmt: skip
