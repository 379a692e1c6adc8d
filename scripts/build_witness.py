#!/usr/bin/env python3
"""Pack ``liuhen-witness`` into one file: ``scripts/build_witness.py OUT.pyz``.

It needs Python 3.11 and the package ``cryptography``, nothing else of this project.
"""

import sys
import tempfile
import zipapp
from pathlib import Path
from shutil import copy2

_ROOT = Path(__file__).resolve().parents[1]
_FILES = (
    "sync/__init__.py",
    "sync/errors.py",
    "sync/catalogue/__init__.py",
    "sync/catalogue/witness.json",
    "sync/evidence/__init__.py",
    "sync/evidence/checkpoint.py",
    "sync/evidence/cosignature.py",
    "sync/evidence/ed25519.py",
    "sync/evidence/errors.py",
    "sync/evidence/fork.py",
    "sync/evidence/merkle.py",
    "sync/evidence/note.py",
    "sync/evidence/p256.py",
)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("用法 usage: scripts/build_witness.py OUT.pyz")
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name)
        witness = sorted((_ROOT / "sync" / "witness").glob("*.py"))
        for path in (*(_ROOT / name for name in _FILES), *witness):
            target = tree / path.relative_to(_ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            copy2(path, target)
        (tree / "__main__.py").write_text(
            "import sys\n\nfrom sync.witness.cli import main\n\nsys.exit(main())\n", "utf-8"
        )
        zipapp.create_archive(tree, sys.argv[1], interpreter="/usr/bin/env python3")


if __name__ == "__main__":
    main()
