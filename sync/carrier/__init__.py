"""Sync by file: carrier folders for where no network may be used (docs/protocol.md §5)."""
