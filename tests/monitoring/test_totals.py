"""Metrics of several processes as those of one: counts add up, and of a gauge the last change counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from notifier.monitoring.totals import Counts, Gauges, Told, families, together

POOL = "notifier_database_connections_in_use"


class Process:
    """What a process counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.sent = Counter("sent", "Messages", ["channel"], registry=self.registry)
        self.seconds = Histogram("seconds", "Time", buckets=(1, 2), registry=self.registry)
        self.breaker = Gauge("breaker", "State", ["provider"], registry=self.registry)
        self.pool = Gauge(POOL, "Connections", registry=self.registry)


def values(counts: Counts, *gauges: Gauges) -> dict[str, float]:
    """What is told, by the line's beginning."""
    registry = CollectorRegistry()
    registry.register(Told(together(counts, gauges)))
    lines = [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_what_one_process_tells_is_told_as_it_is() -> None:
    process = Process()
    process.sent.labels("sms").inc(3)
    process.seconds.observe(1.5)
    process.breaker.labels("twilio").set(2)
    counts, gauges = Counts(), Gauges()
    counts.add(families(process.registry))
    gauges.see(families(process.registry), 1.0)
    registry = CollectorRegistry()
    registry.register(Told(together(counts, [gauges])))

    # The order of families says nothing
    told, own = (set(generate_latest(each).decode().splitlines()) for each in (registry, process.registry))
    assert told == own


def test_counts_of_several_and_of_those_that_have_ended_add_up() -> None:
    counts = Counts()
    for channel, number, seconds in (("sms", 3, 0.5), ("sms", 4, 1.5), ("push", 1, 9)):
        process = Process()
        process.sent.labels(channel).inc(number)
        process.seconds.observe(seconds)
        counts.add(families(process.registry))

    assert values(counts) == {
        'sent_total{channel="sms"}': 7, 'sent_total{channel="push"}': 1, 'seconds_bucket{le="1.0"}': 1,
        'seconds_bucket{le="2.0"}': 2, 'seconds_bucket{le="+Inf"}': 3, "seconds_count": 3, "seconds_sum": 11,
    }  # fmt: skip


def test_of_a_gauge_the_value_counts_that_changed_last_and_connections_add_up() -> None:
    # Given two processes that both know of a provider, and one of another
    one, other = Process(), Process()
    seen, seen_too = Gauges(), Gauges()
    one.breaker.labels("twilio").set(2)
    one.pool.set(3)
    other.breaker.labels("twilio").set(0)
    other.breaker.labels("fcm").set(1)
    other.pool.set(4)
    seen_too.see(families(other.registry), 1.0)
    seen.see(families(one.registry), 2.0)
    both = {'breaker{provider="twilio"}': 2, 'breaker{provider="fcm"}': 1, POOL: 7}
    assert values(Counts(), seen, seen_too) == values(Counts(), seen_too, seen) == both

    # When the other hears of a change, then that counts, in whatever order they are told
    other.breaker.labels("twilio").set(1)
    seen_too.see(families(other.registry), 3.0)
    seen.see(families(one.registry), 4.0)
    assert (
        values(Counts(), seen, seen_too) == values(Counts(), seen_too, seen) == both | {'breaker{provider="twilio"}': 1}
    )
