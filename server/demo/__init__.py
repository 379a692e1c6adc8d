"""The demonstration (演示数据): a fictitious bureau and a patrol through the real device client.

Everything goes the way that real work goes: devices enrol with one-time codes,
write signed journals without a network, and sync over HTTP; the worker checks
the media; a reviewer judges; the worker builds the package.
"""

from server.demo.performance import DemoFailed, DemoResult, DemoUser, perform

__all__ = ["DemoFailed", "DemoResult", "DemoUser", "perform"]
