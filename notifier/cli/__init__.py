"""The command line. Exit codes follow sysexits: 0 done, 1 something is wrong, 2 usage, 69 not reachable, 71 the
system refuses a file or a port, 78 configuration.
"""

import sys
from errno import EPIPE
from importlib import import_module
from importlib.metadata import version
from typing import Any

import click

from notifier.cli.arguments import checked
from notifier.client import ServiceUnavailable
from notifier.domain.errors import ConfigurationError, Problem, StoreUnavailable
from notifier.runtime import logs

EXIT_UNAVAILABLE = 69
EXIT_SYSTEM = 71
EXIT_CONFIGURATION = 78

COMMANDS = {
    "demo": "demo", "chaos": "chaos", "web": "processes", "worker": "processes", "clock": "processes",
    "sandbox": "sandbox", "send": "report", "replay": "report", "recipients": "manage", "keys": "keys",
    "db": "manage", "segments": "segments", "dead": "dead", "cancel": "stop", "bounces": "bounces",
    "explain": "explaining", "simulate": "explaining", "replay-day": "explaining", "templates": "templates",
    "types": "types", "outcomes": "outcomes", "experiments": "experiments", "users": "users", "retention": "retention",
    "ledger": "inspect", "doctor": "inspect", "mcp": "mcp",
}  # fmt: skip
"""Each command and its module. The module is imported when the command is called: prometheus-client reads the folder of
shared metrics only at its import (`processes`)."""


class Commands(click.Group):
    """Reports notifier's own errors in one line with a remedy, and exits with a status of sysexits."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"notifier.cli.{COMMANDS[name]}"), name.replace("-", "_"))
        return checked(command)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except ConfigurationError as error:
            _end(str(error), EXIT_CONFIGURATION)
        except (StoreUnavailable, ServiceUnavailable) as error:
            _end(str(error), EXIT_UNAVAILABLE)
        except OSError as error:
            if error.errno == EPIPE:  # the reader of our output closed the pipe; click ends quietly
                raise
            told = f"{error.strerror or type(error).__name__}{f': {error.filename}' if error.filename else ''}"
            _end(told, EXIT_SYSTEM)
        except Problem as error:
            _end(f"{error.title} ({error.code}): {error.detail}", EXIT_UNAVAILABLE if error.status == 503 else 1)


def _end(text: str, code: int) -> None:
    click.echo(f"notifier: {text}", err=True)
    sys.exit(code)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("notifier"))
def main() -> None:
    """Notifications for EV charging networks: events in, push, SMS and e-mail out.

    \b
    See it work:      notifier demo
    Run it:           notifier db upgrade, then notifier web, worker and clock (or `honcho start`)
    Feed it:          notifier keys create my-service --scope events:write
                      notifier types, notifier types charging.complete
                      notifier send charging.complete --data '{"session_id": "101", …}'
    Look at it:       notifier doctor, notifier ledger, notifier dead list
    See what it does: notifier outcomes, notifier outcomes idle-warning --by day
    Ask why:          notifier explain EVENT, notifier simulate TYPE, notifier replay-day DAY
                      notifier users create NAME --role admin, then /console in a browser

    Settings come from the environment (NOTIFIER_…); `notifier doctor --settings` lists them.
    """
    logs.leave_output_alone()
