"""The field app's sources, built and checked with the Node.js that comes with the environment."""

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "sync" / "field"


def _load() -> ModuleType:
    """``building.py``, which belongs to no package: the build hook finds it by its path."""
    spec = importlib.util.spec_from_file_location("field_building", SOURCE / "building.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


building = _load()


def node(*command: str) -> str:
    """Run a script of the app's packages; what it said, or a failure that shows it."""
    building.install()
    done = building.run_node(list(command))
    assert done.returncode == 0, done.stdout
    return str(done.stdout)
