"""Bytes to and from an S3 address with nothing around them: signed, sent, answered.

boto3 spends more processor time on one request than the hash of a photo costs, so what
moves bytes goes this way; everything else goes through boto3 (docs/benchmarks.md).
"""

import datetime
import os
import re
from collections.abc import Mapping
from typing import Any, BinaryIO, cast
from urllib.parse import quote, urlsplit

import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from media.s3_address import S3Address
from media.store import Content, StoreUnavailable

#: Under which header boto3 says what it is told by name.
_HEADERS = {
    "ContentType": "content-type",
    "ServerSideEncryption": "x-amz-server-side-encryption",
    "SSEKMSKeyId": "x-amz-server-side-encryption-aws-kms-key-id",
    "ObjectLockMode": "x-amz-object-lock-mode",
    "ObjectLockRetainUntilDate": "x-amz-object-lock-retain-until-date",
}
_BLOCK_BYTES = 256 << 10
_CODE = re.compile(rb"<Code>([A-Za-z0-9.]+)</Code>")
#: The body is guarded by its checksum header, which is signed: hashing it twice adds nothing.
_UNSIGNED = Config(s3={"payload_signing_enabled": False})


class Refused(Exception):
    """The store answered with an error; ``code`` is S3's name for it, empty if it gave none."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{code} {status}")
        self.status = status
        self.code = code


class Wire:
    """Signed requests to one bucket over kept connections; thread-safe, not fork-safe."""

    def __init__(self, address: S3Address) -> None:
        self._root = _root(address)
        self._signer = S3SigV4Auth(
            Credentials(address.access_key, address.secret_key), "s3", address.region
        )
        self._pool = urllib3.PoolManager(
            maxsize=64,
            # Of a file that is sent.
            blocksize=_BLOCK_BYTES,
            ca_certs=str(address.ca_bundle) if address.ca_bundle else None,
            timeout=urllib3.Timeout(connect=3, read=60),
            retries=urllib3.Retry(
                total=3,
                redirect=False,
                status_forcelist=(500, 502, 503, 504),
                allowed_methods=None,
                backoff_factor=0.1,
                raise_on_status=False,
            ),
        )

    def put(
        self, key: str, content: Content, *, headers: Mapping[str, str], query: str = ""
    ) -> Mapping[str, str]:
        """Write ``content``; answers the headers that came back.

        Raises:
            Refused: the store does not take it.
            StoreUnavailable: no answer after four tries.
        """
        return self._ask("PUT", key, query, headers, content).headers

    def get(self, key: str, *, headers: Mapping[str, str]) -> bytes:
        """Read an object, or of it what ``headers`` ask for.

        Raises:
            Refused, StoreUnavailable: as for :meth:`put`.
        """
        return self._ask("GET", key, "", headers, None).data

    def _ask(
        self, method: str, key: str, query: str, headers: Mapping[str, str], body: Content | None
    ) -> urllib3.BaseHTTPResponse:
        url = f"{self._root}{quote(key, safe='/~')}{'?' if query else ''}{query}"
        said = dict(headers)
        if not (body is None or isinstance(body, bytes | memoryview)):
            # A file would else go in chunks, which few stores take.
            said["content-length"] = str(_left(body))
        signed = AWSRequest(method, url, headers=said)
        signed.context["client_config"] = _UNSIGNED
        self._signer.add_auth(signed)
        try:
            # Its types leave out the memory that it sends as it lies.
            content = cast("bytes | None", body)
            answer = self._pool.request(method, url, body=content, headers=dict(signed.headers))
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise StoreUnavailable(f"{key}: {error}") from error
        if answer.status >= 300:
            code = _CODE.search(answer.data)
            # Some stores and proxies give no name with it; what is read is just not there.
            bare = "NoSuchKey" if (method, answer.status) == ("GET", 404) else ""
            raise Refused(answer.status, code[1].decode("ascii") if code else bare)
        return answer


def headers_of(parameters: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of a boto3 call as the headers that it would send."""
    return {_HEADERS[name]: _text(value) for name, value in parameters.items()}


def _left(file: BinaryIO) -> int:
    at = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(at)
    return end - at


def _text(value: Any) -> str:
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value)


def _root(address: S3Address) -> str:
    if address.addressing == "path":
        return f"{address.endpoint}/{address.bucket}/"
    place = urlsplit(address.endpoint)
    return f"{place.scheme}://{address.bucket}.{place.netloc}{place.path}/"
