"""Delivery status reports (RFC 3464) as Postfix, Exchange and Exim write them, and one made to order."""

from typing import Final

DELIVERY: Final = "5f" * 16
RETURN_PATH: Final = f"no-reply+{DELIVERY}@voltline.example"

POSTFIX: Final = f"""\
Return-Path: <>
X-Original-To: {RETURN_PATH}
Delivered-To: {RETURN_PATH}
Received: by mx.example (Postfix)
\tid 4ZBn1; Mon,  9 Mar 2026 17:41:02 +0000 (UTC)
Date: Mon,  9 Mar 2026 17:41:02 +0000 (UTC)
From: MAILER-DAEMON@mx.example (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: {RETURN_PATH}
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="4ZBn0.1773078062/mx.example"
Content-Transfer-Encoding: 8bit

This is a MIME-encapsulated message.

--4ZBn0.1773078062/mx.example
Content-Description: Notification
Content-Type: text/plain; charset=utf-8

This is the mail system at host mx.example.

--4ZBn0.1773078062/mx.example
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example
X-Postfix-Queue-ID: 4ZBn0
X-Postfix-Sender: rfc822; {RETURN_PATH}
Arrival-Date: Mon,  9 Mar 2026 17:41:00 +0000 (UTC)

Final-Recipient: rfc822; ada@example.com
Original-Recipient: rfc822;Ada@Example.com
Action: failed
Status: 5.1.1
Remote-MTA: dns; mail.example.com
Diagnostic-Code: smtp; 550 5.1.1 <ada@example.com>: Recipient address rejected:
    User unknown in virtual mailbox table

--4ZBn0.1773078062/mx.example
Content-Description: Undelivered Message
Content-Type: message/rfc822

Date: Mon, 09 Mar 2026 17:41:00 +0000
From: "Voltline" <no-reply@voltline.example>
To: "Ada" <ada@example.com>
Message-ID: <{DELIVERY}@voltline.example>
Subject: Your receipt

Hello.

--4ZBn0.1773078062/mx.example--
"""

# The return path lost on its way, the headers of the mail alone, and a status that says nothing beside a code that does
EXCHANGE: Final = f"""\
From: "Microsoft Outlook" <postmaster@example.com>
To: <no-reply@voltline.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=_000_x

--_000_x
Content-Type: multipart/alternative; boundary=_001_x

--_001_x
Content-Type: text/plain

Delivery has failed to these recipients.
--_001_x--
--_000_x
Content-Type: message/delivery-status

Reporting-MTA: dns;mail.example.com

Final-Recipient: rfc822;ada@example.com
Action: Failed
Status: 5.0.0
Diagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found

--_000_x
Content-Type: text/rfc822-headers

Received: from mail.voltline.example
Message-ID:
 <{DELIVERY}@voltline.example>
Subject: Your receipt

--_000_x--
"""

EXIM: Final = f"""\
Envelope-to: {RETURN_PATH}
To: {RETURN_PATH}
Content-Type: multipart/report; report-type=delivery-status; boundary=1773078062-eximdsn-1
MIME-Version: 1.0

--1773078062-eximdsn-1
Content-type: text/plain; charset=us-ascii

A message that you sent could not be delivered.

--1773078062-eximdsn-1
Content-type: message/delivery-status

Reporting-MTA: dns; mail.example.com

Action: failed
Final-Recipient: rfc822;ada@example.com
Status: 5.0.0
Remote-MTA: dns; mx.example.com
Diagnostic-Code: smtp; 554 5.7.1 Message rejected

--1773078062-eximdsn-1
Content-type: message/rfc822

Subject: x

--1773078062-eximdsn-1--
"""


def dsn(
    status: str = "5.1.1",
    action: str = "failed",
    *,
    reference: str = DELIVERY,
    recipient: str = "rfc822; ada@example.com",
    diagnostic: str = "smtp; 550",
) -> bytes:
    """A report with these fields, its lines ended as on the wire."""
    text = (
        f"To: no-reply+{reference}@voltline.example\n"
        'Content-Type: multipart/report; report-type="delivery-status"; boundary="b"\n\n'
        "--b\nContent-Type: text/plain\n\nSorry.\n--b\nContent-Type: message/delivery-status\n\n"
        f"Reporting-MTA: dns; mx\n\nFinal-Recipient: {recipient}\nAction: {action}\nStatus: {status}\n"
        f"Diagnostic-Code: {diagnostic}\n\n--b--\n"
    )
    return text.replace("\n", "\r\n").encode()


# Feedback reports (RFC 5965), their lines as Yahoo and Comcast write them

YAHOO: Final = f"""\
Return-Path: <feedback@arf.mail.yahoo.example>
To: <complaints@voltline.example>
From: Yahoo! Mail AntiSpam Feedback <feedback@arf.mail.yahoo.example>
Subject: FW: Your receipt
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report;
\tboundary="_----Gq8vJDqzoxlB2D0C"

This is a MIME-encapsulated message.

--_----Gq8vJDqzoxlB2D0C
Content-Type: text/plain

This is an email abuse report for an email message from voltline.example on Mon, 09 Mar 2026 17:41:00 +0000

--_----Gq8vJDqzoxlB2D0C
Content-Disposition: inline
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Yahoo!-Mail-Feedback/2.0
Version: 0.1
Original-Mail-From: <{RETURN_PATH}>
Original-Rcpt-To: redacted@yahoo.example
Received-Date: Mon, 09 Mar 2026 17:41:00 +0000
Reported-Domain: voltline.example
Authentication-Results: atlas.yahoo.example; dkim=pass

--_----Gq8vJDqzoxlB2D0C
Content-Disposition: inline
Content-Type: message/rfc822

Received: from mail.voltline.example
From: "Voltline" <no-reply@voltline.example>
Subject: Your receipt

Hello.

--_----Gq8vJDqzoxlB2D0C--
"""


def arf(
    kind: str = "abuse", *, mail: str = f"Message-ID: <{DELIVERY}@voltline.example>", as_type: str = "message/rfc822",
    fields: str = "",
) -> bytes:  # fmt: skip
    """A feedback report of this kind that returns a mail with these header fields, its lines ended as on the wire."""
    text = (
        "To: complaints@voltline.example\n"
        'Content-Type: multipart/report; report-type="feedback-report"; boundary="b"\n\n'
        "--b\nContent-Type: text/plain\n\nA complaint.\n--b\nContent-Type: message/feedback-report\n\n"
        f"Feedback-Type: {kind}\nUser-Agent: X/1\nVersion: 1\n{fields}\n"
        f"--b\nContent-Type: {as_type}\n\n{mail}\nSubject: x\n\nHello.\n--b--\n"
    )
    return text.replace("\n", "\r\n").encode()
