#!/usr/bin/env python3
"""Take in another bureau's package: ``scripts/import_package.py X.zip --key KEY``."""

import os
import sys
from pathlib import Path

# Whichever python3 the machine has, the program runs in the project's own environment.
python = Path(__file__).resolve().parents[1] / ".venv" / "bin" / "python"
if not python.exists():
    sys.exit("请先运行 scripts/run 安装。 Run scripts/run first; it installs the environment.")
os.execv(python, [str(python), "-m", "server.cli", "import-package", *sys.argv[1:]])  # noqa: S606 - our own interpreter, no shell
