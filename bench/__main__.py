"""``python -m bench NAME``: run one benchmark and print its JSON line."""

import importlib
import json
import sys

from bench import NAMES


def main() -> int:
    if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
        print(f"scripts/bench {{{'|'.join(NAMES)}}} [OPTIONS]", file=sys.stderr)
        return 2
    module = importlib.import_module(f"bench.{sys.argv[1]}")
    print(json.dumps(module.run(sys.argv[2:]), ensure_ascii=False))
    return 0


sys.exit(main())
