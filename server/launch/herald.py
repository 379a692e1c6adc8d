"""Says where to go and how to log in once everything answers, and runs the demonstration."""

import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from server.launch import certificates
from server.launch.errors import DemoFailed, LaunchError, WebNotReady
from server.settings import Settings
from sync import catalogue

_PATIENCE_S = 120


@dataclass(frozen=True)
class FirstLogin:
    """The one-time password of an installation that was empty until now."""

    username: str
    password: str
    #: Kept until it has been shown: a start that fails half-way must not lose it.
    path: Path


class Herald:
    """Waits beside the processes; whatever goes wrong here stops them and is told at the end."""

    def __init__(
        self,
        settings: Settings,
        *,
        first_login: FirstLogin | None,
        perform: Callable[[], None] | None,
    ) -> None:
        self._settings = settings
        self._first_login = first_login
        self._perform = perform
        self.failure: LaunchError | None = None

    def start(self) -> None:
        """Begin waiting, in a thread that does not hold the process up."""
        threading.Thread(target=self._run, name="herald", daemon=True).start()

    def _run(self) -> None:
        try:
            await_web(self._settings, patience_s=_PATIENCE_S)
            if self._perform is not None:
                say("launch.demo_begins")
                self._perform()
            announce(self._settings, self._first_login)
        except LaunchError as error:
            self.failure = error
        except Exception as error:
            # The demonstration drives the whole program: any failure of it ends here.
            self.failure = DemoFailed(f"{type(error).__name__}: {error}")
        if self.failure is not None:
            os.kill(os.getpid(), signal.SIGTERM)


def await_web(settings: Settings, *, patience_s: int) -> None:
    """Return when ``/health`` answers over plain HTTP.

    Raises:
        WebNotReady: not within ``patience_s`` seconds.
    """
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{local_url(settings)}/health", timeout=5) as answer:  # noqa: S310 - our own address
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise WebNotReady(patience_s)


def local_url(settings: Settings) -> str:
    """Where this machine reaches plain HTTP."""
    host = "127.0.0.1" if settings.bind in ("0.0.0.0", "::") else settings.bind  # noqa: S104
    return f"http://{host}:{settings.port}"


def announce(settings: Settings, first_login: FirstLogin | None) -> None:
    """Print address and login, Chinese first; nothing secret after the first start."""
    say("launch.open", url=local_url(settings))
    if settings.public_name is not None:
        say("launch.open_lan", url=settings.base_url)
    if settings.tls_root_path is not None:
        root = x509.load_pem_x509_certificate(settings.tls_root_path.read_bytes())
        say(
            "launch.trust",
            url=f"{settings.base_url}/trust",
            fingerprint=certificates.fingerprint(root),
        )
    demo = demo_path(settings.data_dir)
    if settings.demo and demo.exists():
        _announce_demo(demo)
    else:
        announce_login(first_login)
    say("launch.stop")


def announce_login(first_login: FirstLogin | None) -> None:
    """The one-time password, for as long as nobody has been shown it, and then forget it."""
    if first_login is None:
        say("launch.login_known")
        return
    say("launch.login", username=first_login.username, password=first_login.password)
    first_login.path.unlink(missing_ok=True)


def demo_path(data_dir: Path) -> Path:
    """Where the demonstration writes what scripts need to go on from it."""
    return data_dir / "demo.json"


def say(key: str, **values: object) -> None:
    """Print one text in Chinese, then in English."""
    lines = [catalogue.text(key, lang, **values) for lang in catalogue.LANGUAGES]
    os.write(1, ("\n".join(lines) + "\n").encode())


def _announce_demo(path: Path) -> None:
    demo = json.loads(path.read_text(encoding="utf-8"))
    say("launch.demo_users", path=path)
    for user in demo.get("users", ()):
        roles = ", ".join(user.get("roles", ()))
        os.write(1, f"    {user['username']}  {user['password']}  {roles}\n".encode())
