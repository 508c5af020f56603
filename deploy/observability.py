"""What of notifier is watched: one table, of which the Grafana dashboard and Prometheus' alerts are made.

`make observability` writes both files anew. Each alert's text says what a person does about it; what each metric means
stands in docs/operations.md.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
DASHBOARD = HERE / "grafana" / "notifier.json"
ALERTS = HERE / "prometheus" / "alerts.yml"

CRITICAL = "critical"
"""Wakes somebody up: people aren't told, or something is lost."""
WARNING = "warning"
"""Is looked at during the day."""


class Panel(NamedTuple):
    """One graph: each query is an expression, and what its lines are called; `unit` is Grafana's name of it."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    about: str = ""


class Alert(NamedTuple):
    """One alert: it fires once its expression holds for so long."""

    name: str
    expression: str
    lasting: str
    severity: str
    summary: str
    to_do: str


def rate(metric: str, *by: str, where: str = "") -> str:
    """The events a second that a counter has counted, summed over processes, by some of its labels."""
    return f"sum by ({', '.join(by)}) (rate({metric}{where}[$__rate_interval]))"


def quantile(share: float, metric: str, *by: str, where: str = "", over: str = "$__rate_interval") -> str:
    """The value below which that share of what a histogram observed lies."""
    return f"histogram_quantile({share}, sum by ({', '.join(('le', *by))}) (rate({metric}_bucket{where}[{over}])))"


def rises(metric: str, over: str, where: str = "") -> str:
    """Whether a counter has counted anything within a time. A series that begins is counted, too: it begins with 1."""
    series = f"{metric}{where}"
    return f"sum(increase({series}[{over}])) > 0 or sum({series} unless {series} offset {over}) > 0"


OLDEST = "max by (channel, lane) (notifier_oldest_due_delivery_seconds"
DEAD = 'sum(max by (state) (delta(notifier_deliveries{state=~"failed|undelivered"}[1h])))'
RENEWED_LATE = '{outcome="lost"}'
DECIDED = "(max(notifier_events) - max(notifier_events_undecided) - max(notifier_events_quarantined))"
ERRORS = 'sum(rate(notifier_http_request_seconds_count{status="5xx"}[5m]))'

ROWS: dict[str, tuple[Panel, ...]] = {
    "Is all well?": (
        Panel(
            "Missing or too many in the ledger", "short",
            (("max(notifier_ledger_imbalance)", "now"), ("max(notifier_audit_imbalance)", "at the last audit")),
            "Anything but 0 is an alarm.",
        ),
        Panel(
            "Age of the oldest due delivery", "s", ((f"{OLDEST})", "{{channel}} {{lane}}"),),
            "Workers don't keep up, or providers rest, where it grows.",
        ),
        Panel("Since the clock's last round", "s", (("time() - max(notifier_clock_tick_timestamp_seconds)", "clock"),)),
        Panel(
            "Providers: 0 in use, 1 on trial, 2 paused", "short",
            (("max by (provider) (notifier_breaker_state)", "{{provider}}"),),
        ),
        Panel(
            "Dead letters in an hour", "short",
            (('max by (state) (delta(notifier_deliveries{state=~"failed|undelivered"}[1h]))', "{{state}}"),
             ("max(notifier_events_quarantined)", "events put aside"),
             ("sum by (reason) (increase(notifier_campaigns_paused_total[1h]))", "campaigns paused, {{reason}}")),
        ),
    ),
    "Events": (
        Panel("Accepted", "ops", ((rate("notifier_events_accepted_total", "type"), "{{type}}"),)),
        Panel(
            "Refused", "ops",
            ((rate("notifier_events_refused_total", "code"), "{{code}}"),
             (rate("notifier_requests_limited_total", "policy"), "requests over a key's limit a {{policy}}")),
        ),
        Panel(
            "Decided, and waiting for it", "short",
            ((rate("notifier_events_decided_total"), "decided a second"),
             ("max(notifier_events_undecided)", "waiting")),
        ),
        Panel(
            "Time until an answer", "s",
            ((quantile(0.99, "notifier_http_request_seconds", "route"), "{{route}}"),), "99th percentile",
        ),
        Panel("Answers", "reqps", ((rate("notifier_http_request_seconds_count", "status"), "{{status}}"),)),
    ),
    "Stations": (
        Panel("Clients that follow the map", "short", (("sum(notifier_map_clients)", "clients"),)),
        Panel(
            "Free ports offered to who waited", "ops",
            ((rate("notifier_port_offers_total", "outcome"), "{{outcome}}"),), "One that is taken was told to nobody.",
        ),
        Panel("Frames of changed stations", "ops", ((rate("notifier_map_frames_total"), "frames a second"),)),
        Panel(
            "From a port's report to the map", "s",
            ((quantile(0.5, "notifier_map_lag_seconds"), "p50"), (quantile(0.99, "notifier_map_lag_seconds"), "p99")),
        ),
    ),
    "Deliveries": (
        Panel("Due", "short", (("max by (channel, lane) (notifier_deliveries_due)", "{{channel}} {{lane}}"),)),
        Panel(
            "Outcomes", "ops",
            ((rate("notifier_deliveries_settled_total", "channel", "state"), "{{channel}} {{state}}"),),
        ),
        Panel(
            "From the event to the provider", "s",
            ((quantile(0.5, "notifier_handoff_seconds", "channel"), "{{channel}} p50"),
             (quantile(0.99, "notifier_handoff_seconds", "channel"), "{{channel}} p99")),
        ),
        Panel("Receipts", "ops", ((rate("notifier_receipts_total", "channel", "state"), "{{channel}} {{state}}"),)),
        Panel(
            "Subscriptions", "short",
            (("max by (state) (notifier_subscriptions)", "{{state}}"),
             ("max(notifier_longest_failing_subscription_seconds)", "longest failure, in seconds"),
             (rate("notifier_change_batches_total", "outcome"), "batches a second {{outcome}}"),
             (rate("notifier_changes_told_total"), "changes a second")),
            "Services that are told what became of their deliveries.",
        ),
        Panel(
            "The ledger", "short",
            (("max(notifier_events)", "events"), ("max(notifier_deliveries_planned)", "planned"),
             ("max by (state) (notifier_deliveries)", "{{state}}")),
        ),
        Panel(
            "Days of the ledger", "short",
            (("max(notifier_ledger_sealed_days)", "sealed"), ("max(notifier_ledger_open_days)", "open")),
        ),
    ),
    "Providers": (
        Panel(
            "Answers", "ops",
            ((rate("notifier_provider_requests_total", "provider", "outcome"), "{{provider}} {{outcome}}"),),
        ),
        Panel(
            "Time until an answer", "s",
            ((quantile(0.99, "notifier_provider_seconds", "channel"), "{{channel}}"),), "99th percentile",
        ),
        Panel("Put off by a provider's rate", "ops", ((rate("notifier_paced_total", "provider"), "{{provider}}"),)),
    ),
    "Processes": (
        Panel(
            "Lag of event loops", "s",
            ((quantile(0.99, "notifier_event_loop_lag_seconds", "job", "instance"), "{{job}} {{instance}}"),),
            "99th percentile",
        ),
        Panel(
            "Connections to the database", "short",
            (("notifier_database_connections_in_use", "{{instance}} in use"),
             ("notifier_database_connections_max", "{{instance}} at most"),
             ("notifier_database_transactions_waiting", "{{instance}} waiting")),
        ),
        Panel("Processes of workers", "short", (("sum by (state) (notifier_worker_processes)", "{{state}}"),)),
        Panel("CPU by stage", "percentunit", ((rate("notifier_stage_cpu_seconds_total", "stage"), "{{stage}}"),)),
        Panel(
            "Leases", "ops",
            ((rate("notifier_lease_renewals_total", "outcome"), "{{outcome}}"),
             (rate("notifier_leases_lost_total"), "lost before the outcome")),
        ),
        Panel(
            "Signals", "ops",
            ((rate("notifier_signals_again_total", "queue"), "{{queue}} again"),
             (rate("notifier_signals_lost_total", "queue"), "{{queue}} not taken by the broker"),
             (rate("notifier_messages_failed_total", "queue"), "{{queue}} failed"),
             (rate("notifier_messages_quarantined_total", "queue"), "{{queue}} put aside")),
        ),
        Panel(
            "What went wrong", "short",
            (("sum(increase(notifier_worker_ends_total[1h]))", "workers that ended"),
             ("sum by (kind) (increase(notifier_rows_quarantined_total[1h]))", "{{kind}} put aside"),
             ("sum by (task) (increase(notifier_background_failures_total[1h]))", "{{task}} failed")),
            "In an hour",
        ),
        Panel("Removed by retention", "ops", ((rate("notifier_rows_removed_total", "kind"), "{{kind}}"),)),
    ),
}  # fmt: skip

RULES: tuple[Alert, ...] = (
    Alert(
        "NotifierLedgerImbalance",
        "max(abs(notifier_ledger_imbalance)) > 0 or max(abs(notifier_audit_imbalance)) > 0", "5m", CRITICAL,
        "The ledger of events and deliveries doesn't balance",
        "Rows are missing, or too many. `notifier ledger` tells which, `notifier ledger --recount DAY` the day.",
    ),
    Alert(
        "NotifierNotScraped", "absent(notifier_events)", "5m", CRITICAL,
        "No web process tells of the database",
        "None runs, none is scraped (is the key for metrics good?), or the database doesn't answer: `notifier doctor`.",
    ),
    Alert(
        "NotifierClockNotRunning",
        "time() - max(notifier_clock_tick_timestamp_seconds) > 30 or absent(notifier_clock_tick_timestamp_seconds)",
        "1m", CRITICAL,
        "No clock has finished a round for 30 seconds",
        "What is scheduled isn't sent, nor what was lost again. Start `notifier clock`: its log tells why it ended.",
    ),
    Alert(
        "NotifierEventsNotDecided",
        "max(notifier_events_undecided) > 0 and max(changes(notifier_deliveries_planned[2m])) == 0"
        f" and delta({DECIDED}[2m:15s]) == 0",
        "1m", CRITICAL,
        "Events are accepted, and none has been decided for two minutes",
        "Nobody is told of them. Do workers run, and answer the database and the broker? `notifier doctor`, their log.",
    ),
    Alert(
        "NotifierProcessDown", 'max by (job, instance) (up{job=~"notifier.*"}) == 0', "2m", WARNING,
        "{{ $labels.instance }} of {{ $labels.job }} can't be scraped",
        "The process, its host or the way to it is down; the others do its work. Its log or its host's tells why.",
    ),
    Alert(
        "NotifierUrgentDeliveriesLate", OLDEST + '{lane="urgent"}) > 10', "1m", CRITICAL,
        "Urgent deliveries by {{ $labels.channel }} are due and not taken",
        "Do workers run, and answer the database, the broker and the provider? `notifier doctor`.",
    ),
    Alert(
        "NotifierDeliveriesLate", OLDEST + '{lane="normal"}) > 60', "5m", WARNING,
        "Deliveries by {{ $labels.channel }} are due and not taken for a minute",
        "More workers (NOTIFIER_WORKER_PROCESSES), or a higher rate at the provider.",
    ),
    Alert(
        "NotifierDeadLetters",
        f"{DEAD} > 10 and {DEAD} > 0.02 * max(delta(notifier_deliveries_planned[1h]))", "5m", WARNING,
        "More than two in a hundred deliveries of the last hour failed for good",
        "`notifier dead list` tells them by reason; docs/operations.md what to do about each.",
    ),
    Alert(
        "NotifierEventsQuarantined", "max(notifier_events_quarantined) > 0", "5m", WARNING,
        "{{ $value }} events are put aside, and nothing is sent for them",
        "`notifier dead list` shows them. Redrive them once what crashed or failed is mended.",
    ),
    Alert(
        "NotifierCampaignPaused", rises("notifier_campaigns_paused_total", "15m"), "0s", WARNING,
        "A campaign is paused: too many complaints, or too many mails that came back",
        "`notifier dead list` shows it. Redrive it to let it go on, or discard it to end it.",
    ),
    Alert(
        "NotifierWorkersCrash",
        f"{rises('notifier_worker_ends_total', '15m')} or {rises('notifier_rows_quarantined_total', '15m')}",
        "0s", WARNING,
        "Worker processes end by themselves",
        "They are started again. Look for `worker.ended` in the workers' log, and for memory that ran out.",
    ),
    Alert(
        "NotifierWorkerIncomplete",
        'max by (job, instance, state) (notifier_worker_processes{state=~"stuck|ended"}) > 0', "2m", WARNING,
        "Processes of the worker {{ $labels.instance }} are {{ $labels.state }}",
        "One that has ended can't start: the workers' log says why. One that is stuck fails /livez: start it again.",
    ),
    Alert(
        "NotifierProviderPaused", "max by (provider) (notifier_breaker_state) == 2", "5m", WARNING,
        "{{ $labels.provider }} has had no messages for five minutes",
        "It answers with errors, or asked for a pause. Other providers of the channel, if any, have its share.",
    ),
    Alert(
        "NotifierLeasesLost",
        f"{rises('notifier_leases_lost_total', '15m')}"
        f" or {rises('notifier_lease_renewals_total', '15m', RENEWED_LATE)}",
        "0s", WARNING,
        "Outcomes came after their lease had run out",
        "Some messages may be sent twice. The database is too slow, or a worker has too little CPU.",
    ),
    Alert(
        "NotifierSignalsLost", rises("notifier_signals_lost_total", "5m"), "5m", WARNING,
        "The broker takes no signals",
        "Nothing is lost, but all goes out only when the clock signals it. Does the broker answer? `notifier doctor`.",
    ),
    Alert(
        "NotifierMessagesFail",
        f"{rises('notifier_messages_failed_total', '15m')} or {rises('notifier_messages_quarantined_total', '15m')}",
        "15m", WARNING,
        "Signals fail again and again, or can't be read",
        "Their rows are signalled again. The workers' log tells what fails.",
    ),
    Alert(
        "NotifierBackgroundFails", rises("notifier_background_failures_total", "15m"), "15m", WARNING,
        "Background work fails again and again",
        "It is started again. Look for `background.failed` in the log.",
    ),
    Alert(
        "NotifierSubscriptionFails",
        'max(notifier_subscriptions{state="given_up"}) > 0'
        " or max(notifier_longest_failing_subscription_seconds) > 3600",
        "5m", WARNING,
        "A service isn't told what became of its deliveries",
        "The console's page of subscriptions says which, since when and why. Talk to its owner, then resume it: nothing"
        " is missed while its changes are kept, which is a week.",
    ),
    Alert(
        "NotifierApiFails", f"{ERRORS} > 0.01 * sum(rate(notifier_http_request_seconds_count[5m]))", "5m", CRITICAL,
        "More than one in a hundred requests is answered with 5xx",
        "503 says that the database doesn't take events; producers send them again for a minute.",
    ),
    Alert(
        "NotifierApiSlow",
        quantile(0.99, "notifier_http_request_seconds", where='{route="/v1/events"}', over="5m") + " > 1",
        "10m", WARNING,
        "The slowest hundredth of events takes more than a second to accept",
        "Compare the loops' lag (CPU) and the transactions that wait (database).",
    ),
    Alert(
        "NotifierLoopLag",
        quantile(0.99, "notifier_event_loop_lag_seconds", "job", "instance", over="5m") + " > 0.25", "10m", WARNING,
        "{{ $labels.instance }} has too little CPU",
        "More hosts, or fewer processes on this one.",
    ),
    Alert(
        "NotifierDatabaseSaturated", "max by (job, instance) (notifier_database_transactions_waiting) > 0",
        "10m", WARNING,
        "{{ $labels.instance }} waits for connections to the database",
        "Raise NOTIFIER_DATABASE_CONNECTIONS as far as the database allows, or give it more CPU.",
    ),
)  # fmt: skip

WIDTH, HEIGHT = 12, 8
"""Grafana's units: 24 make the whole width, so that two panels stand side by side."""


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana's JSON model."""
    panels: list[dict[str, Any]] = []
    y = 0
    for row, members in ROWS.items():
        panels.append({"type": "row", "title": row, "collapsed": False, "panels": [], "gridPos": _at(0, y, 24, 1)})
        y += 1
        for number, panel in enumerate(members):
            panels.append(_graph(panel, _at(number % 2 * WIDTH, y + number // 2 * HEIGHT, WIDTH, HEIGHT)))
        y += (len(members) + 1) // 2 * HEIGHT
    for number, each in enumerate(panels, start=1):
        each["id"] = number
    source = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    return {
        "uid": "notifier", "title": "notifier", "tags": ["notifier"], "schemaVersion": 39, "editable": True,
        "refresh": "30s", "time": {"from": "now-6h", "to": "now"}, "timezone": "browser",
        "templating": {"list": [source]}, "annotations": {"list": []}, "panels": panels,
    }  # fmt: skip


def _at(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def _graph(panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${datasource}"}
    targets = [
        {"refId": chr(ord("A") + number), "datasource": source, "expr": expression, "legendFormat": legend}
        for number, (expression, legend) in enumerate(panel.queries)
    ]
    return {
        "type": "timeseries", "title": panel.title, "description": panel.about, "datasource": source,
        "gridPos": place, "targets": targets,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
    }  # fmt: skip


def alerts() -> str:
    """The alerts as a file of rules for Prometheus."""
    lines = [
        "# Made by `make observability` of deploy/observability.py.",
        "groups:",
        "  - name: notifier",
        "    rules:",
    ]
    for alert in RULES:
        lines += [
            f"      - alert: {alert.name}",
            f"        expr: {json.dumps(alert.expression)}",
            f"        for: {alert.lasting}",
            f"        labels: {{severity: {alert.severity}}}",
            "        annotations:",
            f"          summary: {json.dumps(alert.summary)}",
            f"          description: {json.dumps(alert.to_do)}",
        ]
    return "\n".join(lines) + "\n"


def files() -> dict[Path, str]:
    """The files that are made of the table, and their texts."""
    return {DASHBOARD: json.dumps(dashboard(), indent=1) + "\n", ALERTS: alerts()}


if __name__ == "__main__":
    for path, text in files().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
