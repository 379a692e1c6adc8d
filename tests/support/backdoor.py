"""The embedded store's own back doors: past S3, past its credentials and its locks."""

import base64
import hashlib
import hmac
import json
import re
import subprocess
import time
import tomllib
import urllib.request
from pathlib import Path

from server.launch import storeconfig


def versions_of(s3, key):
    """Where the filer keeps the versions of an object in a bucket with Object Lock."""
    return f"/buckets/{s3.bucket}/{key}.versions"


def delete_by_filer(s3, path):
    """DELETE ``path`` from the filer over HTTP, with the key that lies on the server's machine."""
    _ask_filer(s3, f"{path}?recursive=true", "DELETE")


def delete_by_shell(s3, path):
    """``weed shell fs.rm``."""
    _shell(s3, f"fs.rm -rf {path}")


def change_by_filer(s3, path):
    """Turn one byte of the only version under ``path``, which keeps its name and attributes."""
    (version,) = re.findall(r"\bv_\w+", _shell(s3, f"fs.tree {path}"))
    data = bytearray(_ask_filer(s3, f"{path}/{version}", "GET"))
    data[len(data) // 2] ^= 1
    _ask_filer(s3, f"{path}/{version}", "PUT", bytes(data))


def _shell(s3, command):
    done = subprocess.run(
        storeconfig.shell_command(s3.ports),
        cwd=s3.folder,
        input=f"{command}\nexit\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def _ask_filer(s3, path, method, data=None):
    keys = tomllib.loads((Path(s3.folder) / "security.toml").read_text())["jwt"]["filer_signing"]
    token = _token((keys["read"] if method == "GET" else keys)["key"])
    request = urllib.request.Request(
        f"http://127.0.0.1:{s3.ports['filer']}{path}",
        data=data,
        method=method,
        headers={"Authorization": f"Bearer {token}"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


def _token(key):
    parts = ({"alg": "HS256", "typ": "JWT"}, {"exp": int(time.time()) + 60})
    head = ".".join(_b64(json.dumps(part).encode()) for part in parts)
    signature = hmac.new(key.encode(), head.encode(), hashlib.sha256).digest()
    return f"{head}.{_b64(signature)}"


def _b64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
