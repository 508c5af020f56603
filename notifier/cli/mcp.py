"""`notifier mcp`: tools for language models."""

import asyncio

import click

from notifier.cli.report import key_of
from notifier.domain.errors import ConfigurationError
from notifier.runtime.settings import load_settings


@click.command()
def mcp() -> None:
    """Serve tools to a language model over standard input and output (Model Context Protocol).

    \b
    The tools call the HTTP API at NOTIFIER_PUBLIC_URL with the powers of NOTIFIER_API_KEY, and no others:
      notifier keys create assistant --scope explain:read --scope dead:read --scope ledger:read
    docs/mcp.md has the tools, the scopes that they need, and how clients are set up.
    """
    settings = load_settings()
    key = key_of(settings, "explain:read")
    try:
        from notifier.mcp.server import serve
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"the package {error.name} is missing: pip install 'notifier[mcp]'") from None
    asyncio.run(serve(settings.public_url, key))
