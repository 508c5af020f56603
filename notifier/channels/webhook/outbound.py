"""What endpoints are sent, for the OpenAPI and AsyncAPI documents."""

from notifier.api.outbound import OutboundMessage
from notifier.channels.webhook.bodies import WebhookBody

OUTBOUND = [
    OutboundMessage(
        name="notification",
        title="Notification",
        description=(
            "A notification to the endpoint of an operator, a fleet or a host, of the format `standard`. One that is "
            "not answered 2xx within 10 seconds is sent again with the same `webhook-id`."
        ),
        gone="The endpoint is forgotten",
        body=WebhookBody,
        example={
            "id": "019cd39b86c0a4d1f0c6e5b2a7938145",
            "type": "station-offline",
            "timestamp": "2026-03-09T17:40:00Z",
            "data": {
                "recipient_id": "gent-ops",
                "subject": "BE*BEC*E041503003",
                "subject_key": "5d41402abc4b2a76b9719d911017c592",
                "closes": [],
                "urgency": "normal",
                "title": "Station 3 is offline: Gent Zuid",
                "text": "We haven’t heard from Station 3 since 18:25.",
                "link": "https://app.example.com/sites/gent-zuid/stations/BE*BEC*E041503003",
                "event": {"site_id": "gent-zuid", "station": "Station 3"},
            },
        },
    )
]
