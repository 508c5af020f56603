"""Mails as authors write them: a body in paragraphs with a button and a table, or a design of MJML; and several in one,
the digest."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from notifier.channels.email.layout import Layout
from notifier.channels.email.markup import Design, compile_design
from notifier.channels.email.markup_faults import faults_of
from notifier.channels.email.messages import EmailContent
from notifier.domain.errors import ConfigurationError
from notifier.rendering.findings import Level, LintFinding, of_empty
from notifier.rendering.writing import Box, Brand, DigestWriting, Fold, Measure, Writer, Writing

LARGE: Final = 80 * 1024
"""Bytes of HTML above which a mail is too long: Gmail cuts it at 102 kB, and hides the rest with the unsubscribe
link."""
TOO_LARGE: Final = 100 * 1024
MAX_ROWS: Final = 100
"""Rows of a digest's table: some 60 kB, and Gmail cuts a mail at 102 kB."""


class EmailTexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The table `[email]`: a body in paragraphs, the button's label (`action`), a table's rows by label (`details`).

    `mjml` is a body of MJML sections instead of those, and `text` its text part where the one made from it won't do.
    """

    subject: str
    preheader: str
    heading: str = ""
    body: str = ""
    action: str = ""
    details: dict[str, str] = {}
    mjml: str = ""
    text: str = ""


class DigestTexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table `[digest]`: a mail about several, and the row of its table that each gets."""

    subject: str
    preheader: str
    heading: str
    body: str
    action: str
    label: str
    value: str


def open_writer(templates: Path, brand: Brand) -> Writer:
    """Open the composer of mails with the layout of a folder of templates; raises ConfigurationError, which names the
    file."""
    layout = Layout(templates, brand)

    def compile_table(where: str, table: EmailTexts) -> Design | None:
        return _compile(where, table, layout.frame)

    return Writer(write=layout.compose, compile=compile_table, check_locale=layout.check_speaks)


def _compile(where: str, table: EmailTexts, frame: str) -> Design | None:
    """Compile the design where there is one; raises ConfigurationError where a mail has neither a design nor a body."""
    if table.mjml:
        return compile_design(f"{where}.mjml", table.mjml, table.text, frame)
    for name in ("heading", "body", "action"):
        if not getattr(table, name).strip():
            raise ConfigurationError(f"{where}.{name} is empty: a mail without its own design needs it")
    return None


def _used(table: EmailTexts) -> EmailTexts:
    """A design has its own rows."""
    return msgspec.structs.replace(table, details={}) if table.mjml else table


def _size(content: EmailContent) -> int:
    return len(content.html.encode())


def _check(content: EmailContent) -> Iterator[LintFinding]:
    size = _size(content)
    if size > LARGE:
        level: Level = "error" if size > TOO_LARGE else "warning"
        yield LintFinding(level=level, code="size", words=f"the mail has {size // 1024} kB; Gmail cuts off after 100")
    yield from of_empty("subject", content.subject)
    yield from of_empty("text", content.text)


def _check_design(source: str) -> Iterator[LintFinding]:
    for fault in faults_of(source):
        yield LintFinding(level="error", code=fault.code, words=f"line {fault.line}: {fault.words}")


WRITING: Final = Writing(
    title="E-mail",
    table=EmailTexts,
    boxes=(
        Box("subject", "Subject", 2),
        Box("preheader", "Preheader", 2, "The preview text that a mail list shows after the subject."),
        Box("heading", "Heading", 2),
        Box("body", "Body", 8, "An empty line begins another paragraph."),
        Box("action", "Button", 1, "It leads to the type's link."),
    ),
    rows=Box("details", "Table", 1, "A row with an empty value is left out."),
    folded=Fold(
        "A design of its own",
        (
            Box("mjml", "Design (MJML)", 12, "Sections of MJML, in place of heading, body, button and table."),
            Box("text", "Its plain text", 6, "Made from the design if this is empty."),
        ),
    ),
    optional=frozenset({"heading", "body", "action", "mjml", "text"}),
    used=_used,
    open=open_writer,
    digest=DigestWriting(DigestTexts, MAX_ROWS),
    read=lambda content: f"{content.subject}\n\n{content.text}",
    check=_check,
    markup={"mjml": _check_design},
    measure=Measure("bytes", "kB", _size, lambda size: str(round(size / 1024, 1))),
    views=("desktop", "phone", "dark", "plain"),
)
