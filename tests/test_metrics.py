"""What `/metrics` answers: readable by Prometheus, for one process or for all, and never with an id or an address."""

import re
import subprocess
import sys
from pathlib import Path

from prometheus_client import Histogram
from prometheus_client.parser import text_string_to_metric_families

from notifier import metrics
from notifier.domain.clock import SECOND
from notifier.domain.deliveries import Channel, Lane, State
from notifier.monitoring.totals import Told, by_state
from notifier.store.core.database import Connections
from notifier.store.delivery.due import Backlog
from notifier.store.reading.ledger import Ledger, LedgerDays

LEDGER = Ledger(
    imbalance=1, events=5, copies=0, decided=2, undecided=1, quarantined=2, planned=7,
    deliveries={**dict.fromkeys(State, 0), State.SENT: 4, State.FAILED: 2}, by_channel=dict.fromkeys(Channel, 0),
    reasons={}, days=LedgerDays(
        sealed=3, first_sealed="2026-03-05", last_sealed="2026-03-07", corrected=0, open=2, open_since="2026-03-08",
    ),
)  # fmt: skip
BACKLOGS = {(Channel("sms"), Lane.URGENT): Backlog(3, 7 * SECOND), (Channel("sms"), Lane.BULK): Backlog()}
NOW = 10 * SECOND


def everything() -> bytes:
    """All that any process tells."""
    pool = metrics.PoolCollector()
    pool.watched = lambda: Connections(most=10, in_use=2, waiting=1)
    backlogs, subscribed = metrics.BacklogCollector(BACKLOGS, NOW), metrics.SubscriptionCollector([], NOW)
    of_database = metrics.LedgerCollector(LEDGER), backlogs, subscribed
    group = Told([by_state({"working": 4})])
    return metrics.render(metrics.REGISTRY, metrics.OF_CLOCK, *of_database, pool, group)


COUNT = """
import sys
from notifier import metrics
metrics.events_accepted.labels("session.started").inc(int(sys.argv[1]))
metrics.clock_tick.set(int(sys.argv[1]))
"""
RENDER = """
from notifier import metrics
from notifier.domain.clock import SECOND
from notifier.store.core.database import Connections
from notifier.store.delivery.due import Backlog
print(metrics.render(metrics.of_all()).decode())
"""


def read(text: bytes) -> dict[tuple[str, str], float]:
    """Every sample, by its name and its labels' values."""
    families = list(text_string_to_metric_families(text.decode()))
    return {(each.name, ",".join(each.labels.values())): each.value for family in families for each in family.samples}


def test_the_ledger_is_told_with_its_imbalance() -> None:
    samples = read(metrics.render(metrics.LedgerCollector(LEDGER)))

    assert samples["notifier_deliveries", "sent"] == 4
    assert samples["notifier_deliveries", "pending"] == 0
    assert samples["notifier_events", ""] == 5
    assert samples["notifier_events_undecided", ""] == 1
    assert samples["notifier_events_quarantined", ""] == 2
    assert samples["notifier_ledger_imbalance", ""] == 1
    assert samples["notifier_ledger_sealed_days", ""] == 3
    assert samples["notifier_ledger_open_days", ""] == 2


def test_what_is_due_is_told_by_queue_also_where_nothing_is() -> None:
    samples = read(metrics.render(metrics.BacklogCollector(BACKLOGS, NOW)))

    assert samples["notifier_deliveries_due", "sms,urgent"] == 3
    assert samples["notifier_oldest_due_delivery_seconds", "sms,urgent"] == 3
    assert samples["notifier_deliveries_due", "sms,bulk"] == 0
    assert samples["notifier_oldest_due_delivery_seconds", "sms,bulk"] == 0


def test_a_process_that_has_no_clock_tells_nothing_of_one() -> None:
    # A tick of 1970 would be an alarm, and an imbalance of 0 would say that somebody looked.
    told = metrics.render(metrics.REGISTRY)

    assert b"notifier_clock_tick" not in told
    assert b"notifier_audit_imbalance" not in told


def test_every_metric_is_named_by_prometheus_rules_and_says_what_it_counts() -> None:
    for family in text_string_to_metric_families(everything().decode()):
        assert re.fullmatch(r"notifier_[a-z_]+", family.name)
        assert family.documentation
        assert {label for sample in family.samples for label in sample.labels} <= {
            "channel", "code", "kind", "lane", "le", "method", "outcome", "policy", "provider", "queue", "reason",
            "route", "stage", "state", "status", "task", "type",
        }  # fmt: skip


def test_processes_that_share_a_folder_are_counted_together(tmp_path: Path) -> None:
    # Given two processes that counted, and have ended
    shared = metrics.share(tmp_path / "metrics")
    for count in ("2", "3"):
        subprocess.run([sys.executable, "-c", COUNT, count], check=True, env=shared, timeout=30)

    # When a third renders
    ran = subprocess.run([sys.executable, "-c", RENDER], check=True, env=shared, capture_output=True, timeout=30)

    # Then it tells the sum of the counters, and the latest tick of any clock
    samples = read(ran.stdout)
    assert samples["notifier_events_accepted_total", "session.started"] == 5
    assert samples["notifier_clock_tick_timestamp_seconds", ""] == 3


def test_no_command_is_imported_before_it_is_called() -> None:
    # prometheus-client looks for the shared folder once, when it is imported: a process must have named it by then.
    look = "import sys; import notifier.cli, notifier.cli.processes; sys.exit('prometheus_client' in sys.modules)"

    subprocess.run([sys.executable, "-c", look], check=True, timeout=30)


def test_seconds_observed_together_are_counted_as_if_each_were_observed() -> None:
    values = [0.005, 0.0051, 0.3, 0.3, 999.0]
    apart, together = (Histogram("t", "t", buckets=metrics.SECONDS, registry=None) for _ in range(2))

    for value in values:
        apart.observe(value)
    metrics.observe_all(together, values)

    assert samples(together) == samples(apart)


def samples(histogram: Histogram) -> list[tuple[str, str, float]]:
    """What a histogram tells, without when it was made."""
    found = next(iter(histogram.collect())).samples
    return [(each.name, each.labels.get("le", ""), each.value) for each in found if not each.name.endswith("_created")]


def test_every_metric_stands_in_the_page_for_operators() -> None:
    page = (Path(__file__).parents[1] / "docs" / "operations.md").read_text("utf-8")
    families = text_string_to_metric_families(everything().decode())
    counted = {family.name + "_total" if family.type == "counter" else family.name for family in families}

    told = set(re.findall(r"notifier_[a-z_]+", page))

    assert told == counted
