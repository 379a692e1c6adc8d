"""A small installation for tests of the supervision: runs the commands given as JSON."""

import json
import os
import sys

from server.launch import supervision

if __name__ == "__main__":
    stopped = supervision.run(json.loads(sys.argv[1]), os.environ)
    print(json.dumps(stopped), flush=True)
