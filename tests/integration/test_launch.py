"""One command starts a whole installation, says how to enter it, and ends it without a trace."""

import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from server.launch.installation import is_free

_ROOT = Path(__file__).resolve().parents[2]
_NAME = "liuhen.example"


class Launched:
    """The launcher as a person sees it: its lines, its processes, its end."""

    def __init__(self, folder, *arguments):
        env = {name: value for name, value in os.environ.items() if not name.startswith("LIUHEN_")}
        self.port, self.tls_port = free_ports(2)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "server.launch", "--port", str(self.port), *arguments],
            cwd=_ROOT,
            env={**env, "LIUHEN_DATA": str(folder), "LIUHEN_TLS_PORT": str(self.tls_port)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def until_open(self):
        wait_until(lambda: self.says("Press Ctrl-C to stop.") or self.process.poll() is not None)
        assert self.process.poll() is None, "\n".join(self.lines)
        return self

    def says(self, text):
        return next((line for line in list(self.lines) if text in line), None)

    def family(self):
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, signum=signal.SIGTERM):
        family = self.family()
        self.process.send_signal(signum)
        status = self.process.wait(timeout=30)
        self._reader.join(timeout=5)
        _, left = psutil.wait_procs(family, timeout=10)
        assert left == []
        return status


def wait_until(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def free_ports(count):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        first = probe.getsockname()[1]
    ports = [port for port in range(first, first + 500) if is_free("0.0.0.0", port)]
    return ports[:count]


def get(port, path, *, context=None, host=_NAME):
    """GET over HTTP, or over HTTPS as if ``host`` resolved to this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    if context is not None:
        raw = socket.create_connection(("127.0.0.1", port), timeout=20)
        connection.sock = context.wrap_socket(raw, server_hostname=host)
    connection.request("GET", path, headers={"Host": host})
    answer = connection.getresponse()
    return answer.status, answer.read()


@pytest.fixture(scope="module")
def on_lan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lan") / "var"
    launched = Launched(folder, "--lan", _NAME).until_open()
    yield launched, folder
    if launched.process.poll() is None:
        launched.end()


def refusal(*arguments, **env):
    done = subprocess.run(
        [sys.executable, "-m", "server.launch", *arguments],
        cwd=_ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    return done.stderr.strip().splitlines()


def test_the_first_start_gives_a_one_time_password_and_the_second_finds_all_as_it_was(tmp_path):
    folder = tmp_path / "var"

    first = Launched(folder).until_open()
    assert get(first.port, "/health")[0] == 200
    assert first.says("one-time password")
    assert first.end(signal.SIGINT) == 0
    kept = secrets_of(folder)

    second = Launched(folder).until_open()
    assert get(second.port, "/health")[0] == 200
    assert not second.says("one-time password")
    assert second.end(signal.SIGTERM) == 0
    assert secrets_of(folder) == kept

    _, english = refusal("--demo", LIUHEN_DATA=str(folder), LIUHEN_PORT=str(second.port))
    assert "--demo needs an empty installation" in english


def secrets_of(folder):
    lines = (folder / "secrets" / "settings.env").read_text().splitlines()
    return {line.partition("=")[2] for line in lines if "KEY=" in line}


def test_chinese_comes_first_and_english_beside_it(on_lan):
    launched, _ = on_lan
    chinese = launched.lines.index(launched.says("留痕已启动"))

    assert launched.lines[chinese + 1].startswith("Liuhen is running")
    assert f"http://127.0.0.1:{launched.port}" in launched.lines[chinese]


def test_nothing_in_the_data_folder_is_open_to_others(on_lan):
    _, folder = on_lan
    paths = [folder, *folder.rglob("*")]

    open_ones = [p for p in paths if not p.is_symlink() and p.lstat().st_mode & 0o077]

    assert open_ones == []


def test_only_https_listens_beyond_this_machine(on_lan):
    launched, _ = on_lan
    listening = {
        (item.laddr.ip, item.laddr.port)
        for process in launched.family()
        for item in process.net_connections("inet")
        if item.status == psutil.CONN_LISTEN
    }

    beyond = {(ip, port) for ip, port in listening if ip != "127.0.0.1"}

    assert beyond == {("0.0.0.0", launched.tls_port)}
    assert ("127.0.0.1", launched.port) in listening


def test_no_secret_stands_on_a_command_line(on_lan):
    launched, folder = on_lan
    secrets = secrets_of(folder)

    commands = [" ".join(process.cmdline()) for process in launched.family()]

    assert len(secrets) == 3
    assert not [c for c in commands if any(secret in c for secret in secrets)]


def test_a_phone_that_trusts_the_root_reaches_https_under_the_name(on_lan):
    launched, folder = on_lan
    context = ssl.create_default_context(cafile=folder / "tls" / _NAME / "root.pem")

    assert get(launched.tls_port, "/health", context=context) == (200, b"ok\n")


def test_the_trust_page_shows_the_fingerprint_that_was_printed(on_lan):
    launched, folder = on_lan
    context = ssl.create_default_context(cafile=folder / "tls" / _NAME / "root.pem")
    fingerprint = launched.says("compare its SHA-256").rpartition(": ")[2]

    for status, page in (
        get(launched.port, "/trust"),
        get(launched.tls_port, "/trust", context=context),
    ):
        assert status == 200
        assert fingerprint in page.decode().replace("<wbr>", "")
        assert "鸿蒙" in page.decode()


def test_the_root_is_downloaded_as_phones_and_computers_want_it(on_lan):
    launched, folder = on_lan
    pem = (folder / "tls" / _NAME / "root.pem").read_text()

    der = get(launched.port, "/trust/liuhen-root.crt")[1]

    assert der == ssl.PEM_cert_to_DER_cert(pem)
    assert get(launched.port, "/trust/liuhen-root.pem")[1].decode() == pem


def test_a_second_launcher_on_the_same_folder_is_refused_in_two_languages(on_lan):
    launched, folder = on_lan

    chinese, english = refusal(LIUHEN_DATA=str(folder), LIUHEN_PORT="1")

    assert chinese.startswith("数据目录")
    assert english.startswith("Another Liuhen is running")
    assert get(launched.port, "/health")[0] == 200


def test_when_the_store_dies_everything_stops_and_says_so(on_lan):
    launched, _ = on_lan
    family = launched.family()
    weed = next(process for process in family if process.name() == "weed")

    weed.kill()

    assert launched.process.wait(timeout=30) == 1
    _, left = psutil.wait_procs(family, timeout=10)
    assert left == []
    wait_until(lambda: launched.says("The process store ended unexpectedly"), seconds=5)


def test_a_taken_port_is_one_plain_sentence(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        chinese, english = refusal("--port", str(port), LIUHEN_DATA=str(tmp_path))

    assert f"端口 {port} 已被占用" in chinese
    assert "LIUHEN_PORT" in english


@pytest.mark.parametrize("name", ["192.168.1.20", "::1", "[::1]"])
def test_a_bare_address_is_refused_with_the_reason(tmp_path, name):
    chinese, english = refusal("--lan", name, LIUHEN_DATA=str(tmp_path))

    assert "相机和离线存储" in chinese
    assert "camera and offline storage" in english


def test_what_is_no_name_is_refused(tmp_path):
    _, english = refusal("--lan", "刘痕.例子", LIUHEN_DATA=str(tmp_path))

    assert "is not a valid DNS name" in english


def test_a_wrong_setting_is_named(tmp_path):
    _, english = refusal(LIUHEN_DATA=str(tmp_path), LIUHEN_PUSH_LIMIT_LINES="many")

    assert "LIUHEN_PUSH_LIMIT_LINES" in english
