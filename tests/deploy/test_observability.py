"""The dashboard and the alerts: made of one table, about metrics that exist, and firing when they should."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy import observability
from notifier import metrics
from tests.conftest import absent
from tests.test_metrics import everything

SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
OURS = re.compile(r"\b(notifier_[a-z_]+)\b(?:\{([^}]*)\})?")
BY = re.compile(r"\bby \(([^)]*)\) \((?:[a-z]+\()*(notifier_[a-z_]+)")
BESIDES = {"le", "job", "instance", ""}
"""Labels that a histogram has, and that Prometheus gives."""


def known() -> dict[str, set[str]]:
    """The labels of every series that any process tells, by the series' name."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(everything().decode()):
        labels = {label for sample in family.samples for label in sample.labels}
        for suffix in SUFFIXES[family.type]:
            found[family.name + suffix] = labels
    for registry in (metrics.REGISTRY, metrics.OF_CLOCK):
        for collector, names in registry._collector_to_names.items():
            for name in found.keys() & set(names):
                found[name] = found[name] | set(getattr(collector, "_labelnames", ()))
    return found


def expressions() -> Iterator[str]:
    """Every expression of the dashboard and of the alerts."""
    for row in observability.ROWS.values():
        for panel in row:
            yield from (expression for expression, _ in panel.queries)
    yield from (alert.expression for alert in observability.RULES)


@pytest.mark.parametrize(("path", "text"), observability.files().items(), ids=lambda each: getattr(each, "name", ""))
def test_the_files_are_what_the_table_makes(path: Path, text: str) -> None:
    # Given the table
    # When the file that is kept is compared with what `make observability` would write
    # Then they are the same
    assert path.read_text() == text


def test_every_metric_that_is_asked_for_exists_with_its_labels() -> None:
    # Given the series that processes tell
    series = known()

    # When every expression is read
    named = [(name, labels) for text in expressions() for name, labels in OURS.findall(text)]
    grouped = [(name, labels) for text in expressions() for labels, name in BY.findall(text)]

    # Then each metric exists, and has the labels that it is asked for
    assert {name for name, _ in named} - series.keys() == set()
    for name, matchers in named:
        assert {each.partition("=")[0].rstrip("!") for each in matchers.split(",")} <= series[name] | BESIDES, name
    for name, labels in grouped:
        assert {each.strip() for each in labels.split(",")} <= series[name] | BESIDES, name


def test_every_metric_is_on_the_dashboard() -> None:
    # Given the metrics that processes tell
    families = [family.name for family in text_string_to_metric_families(everything().decode())]

    # When the dashboard is searched for each
    shown = " ".join(
        expression for row in observability.ROWS.values() for panel in row for expression, _ in panel.queries
    )
    missing = [name for name in families if not re.search(rf"\b{name}(_total|_bucket|_count)?\b", shown)]

    # Then none is missing
    assert missing == []


def test_panels_do_not_overlap() -> None:
    # Given the dashboard
    panels = observability.dashboard()["panels"]

    # When the cells that each panel takes are listed
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    # Then none is taken twice, and each panel has a number of its own
    assert len(cells) == len(set(cells))
    assert len({panel["id"] for panel in panels}) == len(panels)


def promtool(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool; skips where it isn't installed."""
    if shutil.which("promtool") is None:
        absent("needs promtool, of Debian's prometheus")
    return subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True)


def test_prometheus_takes_the_alerts() -> None:
    # Given the file of alerts
    # When Prometheus' own tool checks it
    said = promtool("check", "rules", "--lint-fatal", observability.ALERTS)

    # Then it finds no fault
    assert said.returncode == 0, said.stderr


class Case(NamedTuple):
    """What Prometheus has scraped, a sample a minute, and which alerts fire of it after so many minutes.

    Series are written as promtool has them: `0x5` is six zeros, `0+1x5` counts up. What every system tells is
    there, too, unless it is given otherwise.
    """

    name: str
    series: dict[str, str]
    minutes: int
    fires: set[str]


WELL = {
    "notifier_events": "100x180",
    "notifier_clock_tick_timestamp_seconds": "0+60x180",
    "notifier_ledger_imbalance": "0x180",
    "notifier_audit_imbalance": "0x180",
    "notifier_events_quarantined": "0x180",
    "notifier_worker_ends_total": "0x180",
    "notifier_leases_lost_total": "0x180",
    'notifier_lease_renewals_total{outcome="renewed"}': "0+50x180",
    'notifier_breaker_state{provider="fcm"}': "0x180",
    'notifier_oldest_due_delivery_seconds{channel="push",lane="urgent"}': "0.4x180",
    'notifier_oldest_due_delivery_seconds{channel="push",lane="normal"}': "3x180",
    'notifier_oldest_due_delivery_seconds{channel="push",lane="bulk"}': "7200x180",
    'notifier_deliveries{state="failed"}': "1000+0.1x180",
    'notifier_deliveries{state="undelivered"}': "1000+0.1x180",
    "notifier_deliveries_planned": "1000000+100x180",
    "notifier_database_transactions_waiting": "0x180",
    'notifier_http_request_seconds_count{route="/v1/events",method="POST",status="2xx"}': "0+6000x180",
    'notifier_http_request_seconds_bucket{route="/v1/events",method="POST",status="2xx",le="0.1"}': "0+6000x180",
    'notifier_http_request_seconds_bucket{route="/v1/events",method="POST",status="2xx",le="+Inf"}': "0+6000x180",
    'notifier_event_loop_lag_seconds_bucket{instance="a",le="0.01"}': "0+600x180",
    'notifier_event_loop_lag_seconds_bucket{instance="a",le="+Inf"}': "0+600x180",
}
SLOW = 'notifier_http_request_seconds_bucket{route="/v1/events",method="POST",status="2xx",le="2.5"}'
FAST = 'notifier_http_request_seconds_bucket{route="/v1/events",method="POST",status="2xx",le="0.1"}'
FAILED = 'notifier_http_request_seconds_count{route="/v1/events",method="POST",status="5xx"}'
URGENT = 'notifier_oldest_due_delivery_seconds{channel="push",lane="urgent"}'
NORMAL = 'notifier_oldest_due_delivery_seconds{channel="push",lane="normal"}'
LAG = 'notifier_event_loop_lag_seconds_bucket{instance="a",le="0.01"}'

CASES = [
    Case("all is well", {}, 120, set()),
    Case("a row is missing", {"notifier_ledger_imbalance": "0x5 1x60"}, 20, {"NotifierLedgerImbalance"}),
    Case("a row was missing for two minutes", {"notifier_ledger_imbalance": "0x5 1x1 0x60"}, 12, set()),
    Case("the audit finds a row too many", {"notifier_audit_imbalance": "-1x60"}, 20, {"NotifierLedgerImbalance"}),
    Case("nothing is scraped", {"notifier_events": "_x60"}, 10, {"NotifierNotScraped"}),
    Case(
        "the clock has ended", {"notifier_clock_tick_timestamp_seconds": "0+60x10 600x60"}, 14,
        {"NotifierClockNotRunning"},
    ),
    Case("there never was a clock", {"notifier_clock_tick_timestamp_seconds": "_x60"}, 5, {"NotifierClockNotRunning"}),
    Case(
        "no worker decides",
        {
            "notifier_events": "100+5x60", "notifier_events_undecided": "0+5x60", "notifier_deliveries_planned": "9x60",
            'notifier_deliveries{state="failed"}': "9x60", 'notifier_deliveries{state="undelivered"}': "9x60",
        },
        10, {"NotifierEventsNotDecided"},
    ),
    Case(
        "a campaign takes long to decide", {"notifier_events": "100x60", "notifier_events_undecided": "1x60"}, 10, set()
    ),
    Case("a process is down", {'up{job="notifier-web",instance="b"}': "1x5 0x60"}, 20, {"NotifierProcessDown"}),
    Case("a process was down for a minute", {'up{job="notifier-web",instance="b"}': "1x5 0x1 1x60"}, 20, set()),
    Case("an urgent delivery waits", {URGENT: "0x5 15+60x60"}, 10, {"NotifierUrgentDeliveriesLate"}),
    Case("a normal delivery waits", {NORMAL: "0x5 70+60x60"}, 15, {"NotifierDeliveriesLate"}),
    Case("a fifth fails for good", {'notifier_deliveries{state="failed"}': "1000+20x180"}, 90, {"NotifierDeadLetters"}),
    Case("an event is put aside", {"notifier_events_quarantined": "0x5 1x60"}, 20, {"NotifierEventsQuarantined"}),
    Case(
        "a subscription is given up", {'notifier_subscriptions{state="given_up"}': "0x5 1x60"}, 20,
        {"NotifierSubscriptionFails"},
    ),
    Case(
        "an endpoint fails for two hours", {"notifier_longest_failing_subscription_seconds": "0+60x120"}, 90,
        {"NotifierSubscriptionFails"},
    ),
    Case("a worker has ended", {"notifier_worker_ends_total": "0x20 1x60"}, 25, {"NotifierWorkersCrash"}),
    Case("a worker ended long ago", {"notifier_worker_ends_total": "0x20 1x60"}, 60, set()),
    Case(
        "a campaign is paused", {'notifier_campaigns_paused_total{reason="complaints"}': "_x20 1x60"}, 25,
        {"NotifierCampaignPaused"},
    ),
    Case(
        "the first rows are put aside", {'notifier_rows_quarantined_total{kind="event"}': "_x20 2x60"}, 25,
        {"NotifierWorkersCrash"},
    ),
    Case(
        "a process is stuck", {'notifier_worker_processes{state="stuck"}': "0x5 1x60"}, 20,
        {"NotifierWorkerIncomplete"},
    ),
    Case("a process starts again", {'notifier_worker_processes{state="ended"}': "0x5 1x1 0x60"}, 20, set()),
    Case("a provider rests", {'notifier_breaker_state{provider="fcm"}': "0x5 2x60"}, 20, {"NotifierProviderPaused"}),
    Case("a provider is tried again", {'notifier_breaker_state{provider="fcm"}': "0x5 2x1 1x60"}, 20, set()),
    Case("outcomes come too late", {"notifier_leases_lost_total": "0x20 3x60"}, 25, {"NotifierLeasesLost"}),
    Case(
        "a renewal comes too late", {'notifier_lease_renewals_total{outcome="lost"}': "_x20 1x60"}, 25,
        {"NotifierLeasesLost"},
    ),
    Case(
        "the broker is away", {'notifier_signals_lost_total{queue="decide"}': "0x5 0+9x60"}, 20,
        {"NotifierSignalsLost"},
    ),
    Case("signals fail", {'notifier_messages_failed_total{queue="decide"}': "0+9x60"}, 30, {"NotifierMessagesFail"}),
    Case(
        "background work fails", {'notifier_background_failures_total{task="renew"}': "0+9x60"}, 30,
        {"NotifierBackgroundFails"},
    ),
    Case("requests fail", {FAILED: "0+200x60"}, 20, {"NotifierApiFails"}),
    Case("requests are slow", {FAST: "0+100x60", SLOW: "0+6000x60"}, 30, {"NotifierApiSlow"}),
    Case("a loop is late", {LAG: "0+100x60", LAG.replace("0.01", "0.5"): "0+600x60"}, 30, {"NotifierLoopLag"}),
    Case(
        "connections are short", {"notifier_database_transactions_waiting": "0x5 4x60"}, 20,
        {"NotifierDatabaseSaturated"},
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_alert_fires_when_it_should_and_no_other_does(case: Case, tmp_path: Path) -> None:
    # Given what Prometheus has scraped
    firing = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(case.fires)]
    asked = {"expr": 'group by (alertname) (ALERTS{alertstate="firing"})', "eval_time": f"{case.minutes}m"}
    series = [{"series": name, "values": values} for name, values in {**WELL, **case.series}.items()]
    test = {"interval": "1m", "input_series": series, "promql_expr_test": [{**asked, "exp_samples": firing}]}
    file = tmp_path / "test.yml"
    file.write_text(json.dumps({"rule_files": [str(observability.ALERTS)], "tests": [test]}))  # JSON is YAML

    # When Prometheus evaluates the alerts
    said = promtool("test", "rules", file)

    # Then those fire that should, and no other
    assert said.returncode == 0, said.stdout + said.stderr


def test_every_alert_is_tested() -> None:
    assert {name for case in CASES for name in case.fires} == {alert.name for alert in observability.RULES}
