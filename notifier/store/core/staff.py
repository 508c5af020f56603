"""Tables of what the operator's staff keep: versions of texts, users, sign-ins, API keys, contacts, the audit.

Instants are epoch milliseconds (UTC).
"""

from sqlalchemy import BigInteger, Column, Double, Index, Integer, SmallInteger, String, Table, Text

from notifier.store.core.columns import DOCUMENT, HEX, MYSQL_OPTIONS, NAME, WORD, metadata

template_version = Table(
    "template_version",
    metadata,
    Column("type", NAME, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("wording", DOCUMENT, nullable=False),
    Column("origin", WORD, nullable=False),
    Column("published_at", BigInteger, nullable=False),
    Column("actor", NAME, nullable=False),
    Column("why", String(1000), nullable=False),
    **MYSQL_OPTIONS,
)

experiment = Table(
    "experiment",
    metadata,
    Column("id", NAME, primary_key=True),
    Column("type", NAME, nullable=False),
    Column("state", WORD, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("document", DOCUMENT, nullable=False),
    **MYSQL_OPTIONS,
)

template_draft = Table(
    "template_draft",
    metadata,
    Column("type", NAME, primary_key=True),
    Column("wording", DOCUMENT, nullable=False),
    Column("based_on", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("actor", NAME, nullable=False),
    **MYSQL_OPTIONS,
)

audit = Table(
    "audit",
    metadata,
    Column("id", HEX, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", NAME, nullable=False),
    Column("action", WORD, nullable=False),
    Column("subject", NAME, nullable=False),
    Column("detail", String(1000), nullable=False),
    **MYSQL_OPTIONS,
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", HEX, primary_key=True),
    Column("name", NAME, nullable=False),
    Column("secret_hash", String(64), nullable=False),
    Column("scopes", String(1000), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("expires_at", BigInteger),
    Column("used_at", BigInteger),
    Column("sources", DOCUMENT),
    Column("types", DOCUMENT),
    Column("rate", Double),
    Column("parties", DOCUMENT),
    Column("daily", BigInteger),
    Column("test", SmallInteger, nullable=False, server_default="0"),
    Column("replaced_by", HEX),
    **MYSQL_OPTIONS,
)

key_usage = Table(
    "key_usage",
    metadata,
    Column("id", HEX, primary_key=True),
    Column("spoken_for", BigInteger, nullable=False),  # microseconds since 1970
    Column("seen_at", BigInteger, nullable=False),  # by the foremost of the clocks that have counted
    Column("day", Integer, nullable=False),
    Column("events", BigInteger, nullable=False),
    **MYSQL_OPTIONS,
)

console_user = Table(
    "console_user",
    metadata,
    Column("name", NAME, primary_key=True),
    Column("role", WORD, nullable=False),
    Column("password_hash", String(200), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("disabled_at", BigInteger),
    Column("signed_in_at", BigInteger),
    **MYSQL_OPTIONS,
)

console_session = Table(
    "console_session",
    metadata,
    Column("id_hash", String(64), primary_key=True),
    Column("user", NAME, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("used_at", BigInteger, nullable=False),
    **MYSQL_OPTIONS,
)

console_guess = Table(
    "console_guess",
    metadata,
    Column("id", HEX, primary_key=True),
    Column("tries", SmallInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    **MYSQL_OPTIONS,
)

test_contact = Table(
    "test_contact",
    metadata,
    Column("name", NAME, primary_key=True),
    Column("phone", WORD),
    Column("email", String(320)),
    Column("token", Text),
    Column("addresses", DOCUMENT),
    **MYSQL_OPTIONS,
)

Index("ix_audit_at", audit.c.at)
Index("ix_console_guess_last_at", console_guess.c.last_at)
Index("ix_console_session_user", console_session.c.user)
