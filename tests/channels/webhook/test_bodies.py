"""Bodies of webhooks, held against what each service documents."""

import json
from typing import Any

import jsonschema
import pytest

from notifier.channels.webhook.bodies import PAGERDUTY_SUMMARY, SLACK_HEADER, SLACK_SECTION, encode
from notifier.channels.webhook.messages import WebhookContent
from tests.channels.webhook.samples import ROUTING_KEY, endpoint, webhook

PLAIN = {
    "type": "object", "required": ["type", "text"],
    "properties": {"type": {"const": "plain_text"}, "text": {"type": "string", "minLength": 1}},
}  # fmt: skip
SLACK: dict[str, Any] = {
    # docs.slack.dev/reference/block-kit/blocks, and …/messaging/sending-messages-using-incoming-webhooks
    "type": "object",
    "required": ["text"],
    "properties": {
        "text": {"type": "string", "minLength": 1, "maxLength": 40_000},
        "blocks": {
            "type": "array",
            "maxItems": 50,
            "items": {
                "oneOf": [
                    {
                        "required": ["type", "text"],
                        "additionalProperties": False,
                        "properties": {
                            "type": {"const": "header"},
                            "text": {"allOf": [PLAIN, {"properties": {"text": {"maxLength": SLACK_HEADER}}}]},
                        },
                    },
                    {
                        "required": ["type", "text"],
                        "additionalProperties": False,
                        "properties": {
                            "type": {"const": "section"},
                            "text": {"allOf": [PLAIN, {"properties": {"text": {"maxLength": SLACK_SECTION}}}]},
                        },
                    },
                    {
                        "required": ["type", "elements"],
                        "additionalProperties": False,
                        "properties": {
                            "type": {"const": "context"},
                            "elements": {"type": "array", "minItems": 1, "maxItems": 10},
                        },
                    },
                ]
            },
        },
    },
}
TEAMS: dict[str, Any] = {
    # learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using, adaptivecards.io
    "type": "object",
    "required": ["type", "attachments"],
    "properties": {
        "type": {"const": "message"},
        "attachments": {
            "type": "array",
            "minItems": 1,
            "items": {
                "required": ["contentType", "content"],
                "properties": {
                    "contentType": {"const": "application/vnd.microsoft.card.adaptive"},
                    "content": {
                        "required": ["type", "version", "body"],
                        "properties": {
                            "type": {"const": "AdaptiveCard"},
                            "version": {"enum": ["1.2", "1.3", "1.4"]},
                            "body": {
                                "items": {
                                    "required": ["type", "inlines"],
                                    "properties": {
                                        "type": {"const": "RichTextBlock"},
                                        "inlines": {
                                            "items": {
                                                "required": ["type", "text"],
                                                "additionalProperties": False,
                                                "properties": {
                                                    "type": {"const": "TextRun"},
                                                    "text": {"type": "string"},
                                                    "size": {"enum": ["default", "small", "medium", "large"]},
                                                    "weight": {"enum": ["default", "lighter", "bolder"]},
                                                },
                                            }
                                        },
                                    },
                                }
                            },
                            "actions": {
                                "items": {
                                    "required": ["type", "url", "title"],
                                    "properties": {"type": {"const": "Action.OpenUrl"}, "title": {"type": "string"}},
                                }
                            },
                        },
                    },
                },
            },
        },
    },
}
PAGERDUTY: dict[str, Any] = {
    # developer.pagerduty.com/docs/send-alert-event
    "type": "object",
    "required": ["routing_key", "event_action", "dedup_key", "payload"],
    "additionalProperties": False,
    "properties": {
        "routing_key": {"type": "string", "minLength": 32, "maxLength": 32},
        "event_action": {"enum": ["trigger", "acknowledge", "resolve"]},
        "dedup_key": {"type": "string", "maxLength": 255},
        "payload": {
            "required": ["summary", "source", "severity"],
            "additionalProperties": False,
            "properties": {
                "summary": {"type": "string", "minLength": 1, "maxLength": PAGERDUTY_SUMMARY},
                "source": {"type": "string", "minLength": 1},
                "severity": {"enum": ["critical", "error", "warning", "info"]},
                "timestamp": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"},
                "class": {"type": "string"},
                "custom_details": {"type": "object"},
            },
        },
        "links": {"items": {"required": ["href"], "properties": {"href": {"type": "string"}}}},
    },
}
LONG = WebhookContent(title="t" * 2_000, text="x" * 5_000, link="https://app.example.com/a?b=1&c=<2>")
SLY = WebhookContent(title="<!channel> [a](https://evil.example)", text="*now* & <@U1> <https://e.example|x>", link="a")


def body(form: str, **members: Any) -> dict[str, Any]:
    secret = ROUTING_KEY if form == "pagerduty" else None
    decoded: dict[str, Any] = json.loads(encode(webhook(endpoint(format=form, secret=secret), **members)))
    return decoded


@pytest.mark.parametrize("content", [webhook().content, LONG, SLY])
@pytest.mark.parametrize(("form", "schema"), [("slack", SLACK), ("teams", TEAMS), ("pagerduty", PAGERDUTY)])
def test_a_body_is_what_the_service_documents(form: str, schema: dict[str, Any], content: WebhookContent) -> None:
    jsonschema.validate(body(form, content=content), schema)


def test_the_standard_body_has_words_and_data() -> None:
    assert json.loads(encode(webhook())) == {
        "id": "5f" * 16,
        "type": "station-offline",
        "timestamp": "2026-03-09T17:40:00Z",
        "data": {
            "recipient_id": "ops",
            "subject": "BE*BEC*E041503003",
            "subject_key": "ab" * 16,
            "closes": [],
            "urgency": "normal",
            "title": "Station 3 is offline: Gent Zuid",
            "text": "canary text since 6:40 PM.",
            "link": "https://app.example.com/sites/gent-zuid/stations/BE*BEC*E041503003",
            "event": {"site_id": "gent-zuid", "station_id": "BE*BEC*E041503003", "connectors": 4},
        },
    }


def test_no_name_calls_a_whole_channel_or_becomes_a_link() -> None:
    told = body("slack", content=SLY)
    assert told["text"] == (
        "&lt;!channel&gt; [a](https://evil.example)\n*now* &amp; &lt;@U1&gt; &lt;https://e.example|x&gt;"
    )
    assert {block["text"]["type"] for block in told["blocks"] if "text" in block} == {"plain_text"}
    card = body("teams", content=SLY)["attachments"][0]["content"]
    assert [block["type"] for block in card["body"]] == ["RichTextBlock", "RichTextBlock"]


def test_an_alert_is_triggered_and_resolved_under_one_key() -> None:
    offline = body("pagerduty", subject_key="station")
    online = body("pagerduty", subject_key="online", closes=["station"], notification_type="station-online")

    assert (offline["event_action"], offline["dedup_key"]) == ("trigger", "station")
    assert (online["event_action"], online["dedup_key"]) == ("resolve", "station")
    assert (offline["routing_key"], offline["payload"]["severity"]) == (ROUTING_KEY, "warning")


def test_half_a_letter_is_no_json() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        encode(webhook(subject="\ud800"))
