"""Whose carrier this is: nothing of it counts before its manifest's signature has been verified."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.models.devices import Device, DeviceKey
from server.models.ledger import Generation
from server.operations import push
from server.operations.carrier.shelf import Shelf
from server.operations.enrolment import DeviceIdentity, standing_of
from server.operations.uploads import Desk
from server.services import Services
from server.signatures import verifier
from sync.carrier.errors import CarrierForeign, CarrierForged
from sync.carrier.manifest import MANIFEST_NAME, Manifest, folder_id, parse_carrier
from sync.carrier.reading import read_manifest


@dataclass(frozen=True, kw_only=True)
class Counter:
    """Where carriers are handed in.

    Like the uploads' desk it is given the means to open short transactions, because
    a carrier of any size is many of them.
    """

    desk: Desk
    services: Services
    shelf: Shelf


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A carrier whose signature holds: ``digest`` names its manifest, ``keys`` are the device's."""

    folder: Path
    manifest: Manifest
    digest: str
    device: DeviceIdentity
    keys: Mapping[str, bytes]


def open_carrier(counter: Counter, folder: Path) -> Opened:
    """Read and verify the manifest of the carrier in ``folder``; nothing is changed.

    Of a carrier on several discs the later ones need not hold the manifest.

    Raises:
        CarrierIncomplete, CarrierUnreadable, CarrierDamaged: the manifest is not to be had.
        CarrierForged: it is not signed by a device of ours.
        CarrierForeign: it is for another ledger, or of another folder.
    """
    identifier = folder_id(folder.name, "carrier") or ""
    path = folder / MANIFEST_NAME
    if not path.exists() and counter.shelf.manifest(identifier).exists():
        path = counter.shelf.manifest(identifier)
    signed = parse_carrier(read_manifest(path, [counter.services.carrier_key]), str(path))
    manifest = signed.manifest
    if manifest.carrier != identifier:
        raise CarrierForeign(str(path), "the manifest of another carrier")
    with counter.desk.read() as session:
        keys = push.device_keys(session, manifest.device)
        spki = keys.get(manifest.key_id)
        if spki is None or not verifier(spki)(signed.message, signed.signature):
            raise CarrierForged(str(path), "not signed by a device that is enrolled here")
        if not _is_ours(session, manifest):
            raise CarrierForeign(str(path), f"for the ledger {manifest.origin}")
        device = session.get_one(Device, manifest.device)
        key = session.get_one(DeviceKey, manifest.key_id)
        identity = DeviceIdentity(
            id=device.id,
            organization_id=device.organization_id,
            key_id=key.key_id,
            standing=standing_of(device, key),
        )
    return Opened(
        folder=folder, manifest=manifest, digest=signed.digest, device=identity, keys=keys
    )


def _is_ours(session: Session, manifest: Manifest) -> bool:
    """Whether it is for this ledger, or for what it was before a backup was restored."""
    found = session.execute(
        select(Generation.number).where(
            Generation.number == manifest.generation, Generation.origin == manifest.origin
        )
    )
    return found.first() is not None
