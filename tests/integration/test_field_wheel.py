"""The wheel of the project carries the built field app and needs no Node to be used."""

import subprocess
import sys
import zipfile

from tests.support.fieldapp import ROOT, building


def test_the_wheel_carries_the_built_app_with_its_notices_and_not_its_sources(tmp_path):
    if not building.is_current():
        building.build()

    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, ROOT],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        made_of = archive.read("server/static/field/made-of.txt").decode().strip()
        notices = archive.read("server/static/field/licenses.txt").decode()
        worker = archive.read("server/static/field/sw.js").decode()
    assert made_of == building.digest()
    assert [name for name in names if name.startswith("sync/field/")] == []
    for package in ("preact", "@preact/signals", "hash-wasm", "@noble/ed25519"):
        assert f"\n{package} " in f"\n{notices}"
    assets = [name for name in names if name.startswith("server/static/field/assets/")]
    assert assets
    for name in assets:
        assert name.removeprefix("server/static/field/") in worker
