#!/usr/bin/env python3
"""Export inspections as evidence packages: ``scripts/export_package.py INSPECTION --out DIR``."""

import os
import sys
from pathlib import Path

# Whichever python3 the machine has, the program runs in the project's own environment.
python = Path(__file__).resolve().parents[1] / ".venv" / "bin" / "python"
if not python.exists():
    sys.exit("请先运行 scripts/run 安装。 Run scripts/run first; it installs the environment.")
os.execv(python, [str(python), "-m", "server.cli", "export-package", *sys.argv[1:]])  # noqa: S606 - our own interpreter, no shell
