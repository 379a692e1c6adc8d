"""Benchmarks: each prints one JSON line with the machine and the versions it ran on."""

#: Each is a module with ``run`` and a row of docs/benchmarks.md.
NAMES = (
    "badlink",
    "chaos",
    "crash",
    "cut",
    "export",
    "fuzz",
    "kill",
    "ledger",
    "metadata",
    "peers",
    "pull",
    "push",
    "scenarios",
    "tamper",
    "upload",
    "verify",
)
