"""`notifier sandbox`: the sandbox as a process."""

import click
import uvloop

from notifier.cli.processes import prepare
from notifier.runtime.addresses import host_name
from notifier.sandbox import Access, serve
from notifier.sandbox.service import ADDRESS
from notifier.sandbox.stand_in import servers

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 (refused)


def _reachable(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Return the host to listen on; the sandbox hands it out, so it has to be one by which others come here."""
    try:
        host = host_name(value)
    except ValueError as error:
        raise click.BadParameter(f"it {error}") from None
    if host in EVERYWHERE:
        raise click.BadParameter(f"name the address of this machine by which others come here instead of {host}")
    return host


def _run(*, host: str, callbacks: bool, fast: bool, **ports: int) -> None:
    """Stand in for FCM, Twilio and a mail server, and show what arrived.

    Whoever reaches its ports reads all that arrived and may set faults: let it listen on a network of your own only.
    Receipts go to a notifier on this machine alone.
    """
    settings = prepare("sandbox")
    access = Access(settings.public_url, settings.api_key) if settings.api_key else None
    named = {name.removesuffix("_port"): port for name, port in ports.items()}
    uvloop.run(serve(named, address=host, callbacks=callbacks, fast=fast, access=access))


sandbox = click.Command(
    "sandbox",
    callback=_run,
    help=_run.__doc__,
    params=[
        click.Option(
            ["--host"],
            default=ADDRESS,
            show_default=True,
            callback=_reachable,
            help="Address to listen on, by which others come here.",
        ),
        *(
            click.Option([f"--{each.name}-port"], type=int, default=each.port, show_default=True, help=each.help)
            for each in servers()
        ),
        click.Option(
            ["--callbacks/--no-callbacks"],
            default=True,
            show_default=True,
            help="Send delivery receipts, as Twilio does.",
        ),
        click.Option(["--fast"], is_flag=True, help="For benchmarks: neither check nor keep messages."),
    ],
)
