"""`notifier sandbox`: the sandbox as a process."""

import click
import uvloop

from notifier.cli.processes import prepare
from notifier.sandbox import Access, serve
from notifier.sandbox.stand_in import servers


def _run(*, callbacks: bool, fast: bool, **ports: int) -> None:
    """Stand in for FCM, Twilio and a mail server on this machine, and show what arrived."""
    settings = prepare("sandbox")
    access = Access(settings.public_url, settings.api_key) if settings.api_key else None
    named = {name.removesuffix("_port"): port for name, port in ports.items()}
    uvloop.run(serve(named, callbacks=callbacks, fast=fast, access=access))


sandbox = click.Command(
    "sandbox",
    callback=_run,
    help=_run.__doc__,
    params=[
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
