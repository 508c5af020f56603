"""What providers do, as metrics; `notifier.metrics` has them among the others."""

from prometheus_client import Counter, Gauge

provider_requests = Counter(
    "notifier_provider_requests_total", "Messages handed to a provider, by its answer", ["provider", "outcome"],
    registry=None,
)  # fmt: skip
paced = Counter(
    "notifier_paced_total", "Messages deferred because a provider's rate is used up", ["provider"], registry=None
)
breaker_state = Gauge(
    "notifier_breaker_state", "0 closed, 1 half-open, 2 open or paused by the provider's Retry-After", ["provider"],
    multiprocess_mode="mostrecent", registry=None,
)  # fmt: skip

EVERY = (provider_requests, paced, breaker_state)
