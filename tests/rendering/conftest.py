import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from notifier.domain.catalog import Catalog
from notifier.domain.catalog_files import load_catalog
from notifier.rendering import Brand, Renderer

TEMPLATES = Path(__file__).parents[2] / "templates"
BRAND = Brand("Voltline", "https://app.example.com", "Elbchaussee 1, 20354 Hamburg")


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog(TEMPLATES)


@pytest.fixture(scope="session")
def renderer(catalog: Catalog) -> Renderer:
    return Renderer(catalog, TEMPLATES, BRAND)


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    """A folder with one real type and the real layout, for a test to change."""
    for name in ("_layout", "charging-complete"):
        shutil.copytree(TEMPLATES / name, tmp_path / name)
    other = (tmp_path / "charging-complete" / "type.toml").read_text("utf-8")
    (tmp_path / "charging-complete" / "type.toml").write_text(
        other.replace('supersedes = ["session-started"]', ""), "utf-8"
    )
    return tmp_path


@pytest.fixture
def load(templates: Path) -> Callable[[], Renderer]:
    """Loads the folder as it is by then."""
    return lambda: Renderer(load_catalog(templates), templates, BRAND)
