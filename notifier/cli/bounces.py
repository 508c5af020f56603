"""`notifier bounces`: process bounces and complaints that arrive by mail."""

import json
import mailbox
import shutil
import sys
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

import click
import msgspec

from notifier.channels.email.bounces import Bounce, read_bounce
from notifier.channels.email.complaints import Feedback, read_feedback
from notifier.channels.email.reports import MAX_BYTES
from notifier.cli.manage import on_database
from notifier.domain.clock import SystemClock
from notifier.domain.errors import StoreUnavailable
from notifier.domain.reading import unmarked
from notifier.pipeline import complaints
from notifier.pipeline.receipts import BATCH, Recorded, record
from notifier.store.core.database import Database

EX_NOINPUT = 66
EX_TEMPFAIL = 75  # the exit status at which a mail server keeps the mail and retries


@click.command()
@click.argument("source", default="-", metavar="[FILE|-]", type=click.Path(allow_dash=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON line for each mail.")
def bounces(source: Path, as_json: bool) -> None:
    """Process bounces and complaints: one mail from standard input, or the mails of a FILE (a mail or an mbox) or a
    Maildir.

    A bounced delivery becomes undelivered, and a mailbox that no longer exists is not written to again. Whoever
    complained of a mail (a feedback report of their mailbox's provider, RFC 5965) gets no more marketing by e-mail.
    Other mails, or those processed before, are ignored, so the same mails may be read repeatedly.

    \b
    For Postfix, in master.cf, with recipient_delimiter = + and the sender's address routed here:
      bounces  unix  -  n  n  -  -  pipe  flags=DRO user=notifier argv=notifier bounces

    Exits with 0 whatever the mails are, 66 where FILE can't be read, 75 where the database doesn't answer, so that the
    mail server keeps the mail and tries again.
    """
    try:
        on_database(lambda database: _take(database, _mails(source), as_json))
    except StoreUnavailable as error:
        _end(str(error), EX_TEMPFAIL)


def _mails(source: Path) -> Iterator[bytes]:
    """Yield the beginning of each mail; nothing more of a mail is read."""
    try:
        yield from _piped() if str(source) == "-" else _kept(source)
    except OSError as error:
        _end(f"{source} can't be read ({type(error).__name__})", EX_NOINPUT)


def _piped() -> Iterator[bytes]:
    yield sys.stdin.buffer.read(MAX_BYTES)
    while sys.stdin.buffer.read(MAX_BYTES):
        pass  # a mail server treats a pipe that is closed early as a failure


def _kept(source: Path) -> Iterator[bytes]:
    box: mailbox.Mailbox[mailbox.MaildirMessage] | mailbox.Mailbox[mailbox.mboxMessage]
    if source.is_dir():
        box = mailbox.Maildir(source, create=False)
    else:
        with source.open("rb") as file:
            data = file.read(MAX_BYTES)
        if not unmarked(data).startswith(b"From "):
            yield data
            return
        if data != unmarked(data):
            yield from _marked(source)
            return
        box = mailbox.mbox(source, create=False)
    with closing(box):
        for key in box.iterkeys():
            with box.get_file(key) as mail:
                yield mail.read(MAX_BYTES)


def _marked(source: Path) -> Iterator[bytes]:
    """Return the mails of an mbox without its byte order mark, which would hide the first mail's beginning."""
    with TemporaryDirectory() as folder:
        copy = Path(folder) / source.name
        with source.open("rb") as marked, copy.open("wb") as file:
            marked.seek(len(BOM_UTF8))
            shutil.copyfileobj(marked, file)
        yield from _kept(copy)


async def _take(database: Database, mails: Iterator[bytes], as_json: bool) -> None:
    read = (read_feedback(mail) or read_bounce(mail) for mail in mails)
    while batch := list(islice(read, BATCH)):
        now = SystemClock().now()
        reports = [each.report for each in batch if isinstance(each, Bounce) and each.report is not None]
        recorded = iter(await record(database, reports, now) if reports else [])
        complained = [each.delivery for each in batch if isinstance(each, Feedback) and each.delivery is not None]
        news = iter(await complaints.take(database, complained, now) if complained else [])
        for each in batch:
            if isinstance(each, Feedback):
                _tell_feedback(each, each.delivery is not None and next(news), as_json)
            else:
                _tell_bounce(each, Recorded() if each.report is None else next(recorded), as_json)


def _tell_bounce(bounce: Bounce, done: Recorded, as_json: bool) -> None:
    delivery, code = (bounce.report.delivery, bounce.report.code) if bounce.report else (None, None)
    if as_json:
        told = {"delivery": delivery, "action": bounce.action, "code": code, **msgspec.structs.asdict(done)}
        click.echo(json.dumps(told))
    elif bounce.action is None:
        click.echo("This mail is neither a bounce nor a complaint.")
    elif delivery is None:
        click.echo(f"Nothing to do: {bounce.action}.")
    elif not done.moved:
        click.echo(f"{delivery}: already known.")
    else:
        more = "; its mailbox is suppressed" if done.suppressed else ""
        click.echo(f"{delivery}: undelivered, {code}{more}.")


def _tell_feedback(feedback: Feedback, done: bool, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"delivery": feedback.delivery, "feedback": feedback.kind, "withdrawn": done}))
    elif feedback.delivery is None:
        click.echo(f"Nothing to do: feedback {feedback.kind}.")
    elif not done:
        click.echo(f"{feedback.delivery}: a complaint, already known.")
    else:
        click.echo(f"{feedback.delivery}: a complaint; its recipient gets no more marketing by e-mail.")


def _end(text: str, code: int) -> NoReturn:
    click.echo(f"notifier: {text}", err=True)
    sys.exit(code)
