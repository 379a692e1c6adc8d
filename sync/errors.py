"""The errors of the sync side; they know nothing of HTTP, since devices raise them too."""

from sync.evidence.errors import SyncError

__all__ = ["SyncError"]
