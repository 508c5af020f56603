"""JSON logs, one object a line. Nothing personal is ever passed to a logger: ids, types, counts and codes only."""

import logging
import sys
from typing import Any

import structlog

QUIET = ("aiosqlite", "asyncio", "alembic", "urllib3", "google", "httpx", "pika", "twilio", "aiohttp.access")


def leave_output_alone() -> None:
    """Log to standard error, as long as nothing else is set up: what a command prints is for whoever called it."""
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


def set_up(level: str, process: str) -> None:
    """Send this process's logs, structlog's and the libraries', to standard error."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_name_exceptions)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                _first_line,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _where,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(process=process)


def _name_exceptions(record: logging.LogRecord) -> bool:
    """Libraries put exceptions into their messages: of those too the type is told and not the text."""
    if isinstance(record.args, tuple):
        record.args = tuple(type(each).__name__ if isinstance(each, BaseException) else each for each in record.args)
    return True


def _first_line(_logger: Any, _method: str, entry: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Libraries say what happened in a first line. asyncio adds the exception's text, and a callback's arguments."""
    if not entry["_from_structlog"]:
        entry["event"] = str(entry["event"]).partition("\n")[0]
        if entry.get("logger") == "asyncio":
            entry["event"] = entry["event"].partition("(")[0]
    return entry


def _where(_logger: Any, _method: str, entry: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """An exception is told by its type and place; its text and the values around it may hold personal data."""
    info = entry.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    if isinstance(info, BaseException):
        info = (type(info), info, info.__traceback__)
    if info and info[0] is not None:
        trace = info[2]
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        entry["error"] = info[0].__name__
        if trace is not None:
            entry["at"] = f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}"
    return entry
