"""The SMTP conversation, without a socket."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.channels.email.sandbox import ReceivedMail
from notifier.channels.email.sandbox.message import LINE_BYTES, MESSAGE_BYTES
from notifier.channels.email.sandbox.session import RECIPIENTS, SmtpSession
from notifier.domain.clock import ManualClock
from notifier.sandbox import Faults, SandboxLedger
from tests.named import EMAIL


class Talk:
    """A session past its greeting, and the replies to what is said."""

    def __init__(self, *, hello: bool = True) -> None:
        self.ledger = SandboxLedger(ManualClock(0))
        self.session = SmtpSession(self.ledger, Faults(), "user", "secret")
        self.session.next_turn()
        self.closed = False
        if hello:
            self.say(b"EHLO test\r\n")

    def say(self, data: bytes) -> list[str]:
        """The codes of the replies."""
        self.session.receive(data)
        replies = b""
        while (turn := self.session.next_turn()) is not None:
            replies += turn.reply
            self.closed = turn.close
            if turn.close:
                break
        return [line[:3] for line in replies.decode().splitlines() if line[3:4] == " "]

    def send(self, raw: bytes) -> list[str]:
        """The codes of the replies to a whole mail, its last one behind the final dot."""
        return self.say(b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n" + raw + b"\r\n.\r\n")


def login(*parts: str) -> bytes:
    return b64encode("\0".join(parts).encode())


@pytest.mark.parametrize(
    ("said", "codes"),
    [
        (b"MAIL FROM:<>\r\n", ["250"]),
        (b"mail from:<a@b> SIZE=100 BODY=8BITMIME\r\n", ["250"]),
        (b"MAIL FROM:<a@b> SIZE=%d\r\n" % (MESSAGE_BYTES + 1), ["552"]),
        (b"MAIL FROM:<a@b> RET=HDRS\r\n", ["555"]),
        (b"MAIL FROM: a@b\r\n", ["501"]),
        (b"MAIL FROM:<a b@c>\r\n", ["501"]),
        ("MAIL FROM:<jürgen@b>\r\n".encode(), ["553"]),
        ("MAIL FROM:<jürgen@b> SMTPUTF8\r\nRCPT TO:<ü@b>\r\n".encode(), ["250", "250"]),
        (b"MAIL FROM:<>\r\nMAIL FROM:<>\r\n", ["250", "503"]),
        (b"RCPT TO:<a@b>\r\n", ["503"]),
        (b"DATA\r\n", ["503"]),
        (b"MAIL FROM:<>\r\nDATA\r\n", ["250", "554"]),
        (b"MAIL FROM:<>\r\nRCPT TO:<nobody>\r\n", ["250", "501"]),
        (b"MAIL FROM:<>\r\nRCPT TO:<a@b> NOTIFY=NEVER\r\n", ["250", "555"]),
        ("MAIL FROM:<>\r\nRCPT TO:<ü@b>\r\n".encode(), ["250", "553"]),
        (b"MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRSET\r\nDATA\r\n", ["250", "250", "250", "503"]),
        (b"MAIL FROM:<>\r\nEHLO again\r\nRCPT TO:<a@b>\r\n", ["250", "250", "503"]),
        (b"NOOP\r\nVRFY anna\r\nTURN\r\nEHLO\r\n", ["250", "252", "500", "501"]),
        (b"AUTH PLAIN " + login("", "user", "secret") + b"\r\n", ["235"]),
        (b"AUTH PLAIN\r\n" + login("", "user", "secret") + b"\r\n", ["334", "235"]),
        (b"AUTH LOGIN\r\n" + login("user") + b"\r\n" + login("secret") + b"\r\n", ["334", "334", "235"]),
        (b"AUTH LOGIN " + login("user") + b"\r\n" + login("wrong") + b"\r\n", ["334", "535"]),
        (b"AUTH PLAIN\r\n*\r\nNOOP\r\n", ["334", "501", "250"]),
        (b"AUTH PLAIN ???\r\nAUTH LOGIN ???\r\n???\r\n", ["501", "334", "501"]),
        (b"AUTH CRAM-MD5\r\n", ["504"]),
        (b"STARTTLS\r\n", ["220"]),
        (b"QUIT\r\nNOOP\r\n", ["221"]),
    ],
)
def test_each_command_has_its_reply(said: bytes, codes: list[str]) -> None:
    assert Talk().say(said) == codes


def test_mail_needs_a_hello() -> None:
    talk = Talk(hello=False)
    assert talk.say(b"MAIL FROM:<>\r\nHELO test\r\nMAIL FROM:<>\r\n") == ["503", "250", "250"]


def test_an_endless_command_line_ends_the_conversation() -> None:
    talk = Talk()
    assert talk.say(b"NOOP " + b"x" * 3_000) == ["500"]
    assert talk.closed


def test_recipients_beyond_the_limit_wait_for_another_mail() -> None:
    talk = Talk()
    codes = talk.say(b"MAIL FROM:<>\r\n" + b"RCPT TO:<a@b>\r\n" * (RECIPIENTS + 1))
    assert codes == ["250"] * (RECIPIENTS + 1) + ["452"]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"Subject: x\r\n\r\n" + b"x" * LINE_BYTES, "250"),
        (b"Subject: x\r\n\r\n" + b"x" * (LINE_BYTES + 1), "500"),
        (b"Subject: x\r\nBcc: evil\n\r\nbare", "521"),
        (b"Subject: x\r\n\r\nsmuggled\n.\nMAIL FROM:<>", "521"),
        (b"Subject: x\rBcc: evil\r\n\r\n", "521"),
        (b"Subject: x\r\n\r\n" + b"x\r\n" * (MESSAGE_BYTES // 3), "552"),
        (b"Subject: x\r\n\r\n\xff\x00", "250"),
    ],
)
def test_a_message_out_of_form_is_refused_behind_its_final_dot(raw: bytes, code: str) -> None:
    # Given
    talk = Talk()

    # When
    codes = talk.send(raw)

    # Then the conversation goes on
    assert codes == ["250", "250", "354", code]
    assert talk.ledger.summary()["email"]["accepted"] == (code == "250")
    assert talk.send(b"Subject: next") == ["250", "250", "354", "250"]


def test_an_oversized_message_is_not_kept_while_it_comes_in() -> None:
    # Given
    talk = Talk()
    talk.say(b"MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n")

    # When
    for _ in range(12):
        talk.say(b"x" * 998 + b"\r\n" + b"y" * (MESSAGE_BYTES // 10))

    # Then
    assert len(talk.session._buffer) < MESSAGE_BYTES
    assert talk.say(b"\r\n.\r\n") == ["552"]


@pytest.mark.parametrize(
    ("head", "reference"),
    [
        (b"Message-ID: <m1@example.com>", "m1"),
        (b"Subject: x\r\nMESSAGE-ID:\r\n <m1@example.com>\r\nTo: x", "m1"),
        (b"Subject: Message-ID: <no@x>", ""),
        (b"Subject: x\r\n\r\nMessage-ID: <no@x>", ""),
    ],
)
def test_the_reference_is_the_local_part_of_the_message_id(head: bytes, reference: str) -> None:
    talk = Talk()
    talk.send(head)
    assert talk.ledger.entries[0].reference == reference


LINES = st.lists(st.binary(max_size=40).map(lambda line: line.translate(None, b"\r\n")), max_size=12)


@given(lines=LINES, cuts=st.lists(st.integers(0, 2_000), max_size=8))
def test_any_message_arrives_unchanged_however_its_bytes_are_cut(lines: list[bytes], cuts: list[int]) -> None:
    # Given a message, its dots stuffed as RFC 5321 asks
    raw = b"".join(line + b"\r\n" for line in lines)
    stuffed = b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines)
    said = b"MAIL FROM:<>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n" + stuffed + b".\r\nNOOP\r\n"
    talk = Talk()

    # When
    codes, last = [], 0
    for cut in [*sorted(cuts), len(said)]:
        codes += talk.say(said[last:cut])
        last = max(last, cut)

    # Then
    [entry] = talk.ledger.entries
    assert isinstance(entry.content, ReceivedMail)
    assert entry.content.raw == raw
    assert codes == ["250", "250", "354", "250", "250"]


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_no_bytes_upset_the_session(pieces: list[bytes]) -> None:
    talk = Talk()
    for piece in pieces:
        if not talk.closed:
            talk.say(piece + b"\r\n")
    assert talk.ledger.summary()[EMAIL]["accepted"] == 0
