"""What is installed to run notifier, and what on top of it to work on it."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def locked(name: str) -> dict[str, str]:
    """The packages of a lock with their versions."""
    lines = (ROOT / name).read_text().splitlines()
    return dict(each.split(" ")[0].split("==") for each in lines if "==" in each and not each.startswith(" "))


def group(name: str) -> set[str]:
    """The packages that a dependency group names."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    return {re.split(r"[>\[]", each)[0] for each in groups[name]}


def test_production_is_installed_without_any_tool_of_testing_or_checking() -> None:
    tools = group("test") | group("check")

    assert {"pytest", "playwright", "mypy"} <= tools
    assert tools <= locked("requirements-dev.lock").keys()
    assert tools & locked("requirements.lock").keys() == set()


def test_what_is_tested_is_what_runs() -> None:
    # All of production's packages, each in the same version
    for extra in ("requirements-tracing.lock", "requirements-mcp.lock"):
        assert locked("requirements.lock").items() <= locked(extra).items()
        assert locked(extra).items() <= locked("requirements-dev.lock").items()


def test_production_has_opentelemetry_only_where_it_is_asked_for() -> None:
    added = locked("requirements-tracing.lock").keys() - locked("requirements.lock").keys()

    assert "opentelemetry-sdk" in added
    assert not [name for name in locked("requirements.lock") if name.startswith("opentelemetry")]


def test_production_has_what_language_models_tools_need_only_where_it_is_asked_for() -> None:
    added = locked("requirements-mcp.lock").keys() - locked("requirements.lock").keys()

    assert {"mcp", "pydantic"} <= added
