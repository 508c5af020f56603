"""What providers do, as metrics; `notifier.metrics` has them among the others."""

from prometheus_client import Counter, Gauge

provider_requests = Counter(
    "notifier_provider_requests_total", "Messages handed to a provider by what it said", ["provider", "outcome"],
    registry=None,
)  # fmt: skip
paced = Counter(
    "notifier_paced_total", "Messages sent away for a while because a rate is spoken for", ["provider"], registry=None
)
breaker_state = Gauge(
    "notifier_breaker_state", "0 closed, 1 half-open, 2 open, or resting as the provider asked", ["provider"],
    multiprocess_mode="mostrecent", registry=None,
)  # fmt: skip

EVERY = (provider_requests, paced, breaker_state)
