"""Who is calling: the device behind a bearer token."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from flask import g, request

from server.db import reading
from server.failures import DeviceMismatch, DeviceRevoked, TokenMissing
from server.operations import enrolment
from server.operations.enrolment import DeviceIdentity
from server.services import services

P = ParamSpec("P")
R = TypeVar("R")

#: Marks an operation in the OpenAPI document as needing a device token.
BEARER: dict[str, list[dict[str, list[str]]]] = {"security": [{"deviceToken": []}]}


def require_device(view: Callable[P, R]) -> Callable[P, R]:
    """Let ``view`` run only for a device with a valid token; it finds it in ``g.device``.

    Raises:
        TokenMissing: if there is no token, or it is unknown or expired.
    """

    @wraps(view)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise TokenMissing
        with reading() as session:
            g.device = enrolment.device_of_token(session, token.strip(), now_ms=services().now_ms())
        return view(*args, **kwargs)

    return checked


def calling_device() -> DeviceIdentity:
    """The device that :func:`require_device` found."""
    device: DeviceIdentity = g.device
    return device


def reading_device() -> DeviceIdentity:
    """The calling device, if it may be told anything.

    Raises:
        DeviceRevoked: if its key is revoked: it may still hand in what it holds.
    """
    device = calling_device()
    if device.revoked:
        raise DeviceRevoked(device.standing)
    return device


def require_own_journal(device_id: str) -> DeviceIdentity:
    """The calling device, if ``device_id`` is its own.

    Raises:
        DeviceMismatch: if it asks for another device's journal.
    """
    device = calling_device()
    if device.id != device_id:
        raise DeviceMismatch
    return device
