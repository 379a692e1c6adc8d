"""``python -m server.launch``: everything on one machine, in the foreground, until Ctrl-C."""

import argparse
import dataclasses
import datetime
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path

from server.launch import certificates, herald, installation, supervision
from server.launch.errors import (
    AddressRefused,
    DemoNeedsEmpty,
    InitFailed,
    LaunchError,
    NameRefused,
    PartStopped,
    PortTaken,
    SettingsRefused,
)
from server.launch.herald import FirstLogin, Herald
from server.launch.installation import Installation
from server.settings import Settings, SettingsError, check_public_name
from sync import catalogue


def main(arguments: list[str] | None = None) -> int:
    """Start everything; the exit status is 0 only if we were asked to stop."""
    options = _parser().parse_args(arguments)
    os.umask(0o077)
    try:
        env = _with_options(os.environ, options)
        data_dir = Path(env.get("LIUHEN_DATA") or "var").resolve()
        with installation.held(data_dir) as held:
            return _launch(held, env, demo=options.demo, only_prepare=options.prepare)
    except LaunchError as error:
        for lang in catalogue.LANGUAGES:
            print(error.sentence(lang), file=sys.stderr)  # noqa: T201 - a command line speaks
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/run", description=catalogue.text("launch.about", "zh")
    )
    for flag, kind, key in (
        ("--port", {"type": int, "metavar": "N"}, "launch.option_port"),
        ("--lan", {"metavar": "NAME"}, "launch.option_lan"),
        ("--demo", {"action": "store_true"}, "launch.option_demo"),
        ("--prepare", {"action": "store_true"}, "launch.option_prepare"),
    ):
        text = " ".join(catalogue.text(key, lang) for lang in catalogue.LANGUAGES)
        parser.add_argument(flag, help=text, **kind)
    return parser


def _with_options(env: Mapping[str, str], options: argparse.Namespace) -> dict[str, str]:
    """The environment with the command line's options, which win, written into it."""
    values = dict(env)
    if options.port is not None:
        values["LIUHEN_PORT"] = str(options.port)
    if options.lan is not None:
        values["LIUHEN_PUBLIC_NAME"] = options.lan.lower().rstrip(".")
    name = values.get("LIUHEN_PUBLIC_NAME")
    if name:
        try:
            check_public_name(name)
        except SettingsError as error:
            raise (AddressRefused if error.reason == "address" else NameRefused)(name) from error
    return values


def _launch(held: Installation, env: Mapping[str, str], *, demo: bool, only_prepare: bool) -> int:
    # 1. Settings, secrets and ports: complete, or refused by name.
    values = installation.prepare(held, env)
    try:
        settings = Settings.from_env(values)
    except SettingsError as error:
        raise SettingsRefused(str(error)) from error
    # 2. Ports of the outside and the certificate, before anything runs.
    _check_ports(settings)
    _prepare_tls(settings)
    # 3. The database: migrations, keys, and on the first start a one-time password.
    child_env = _child_env(env, values)
    created = _init(held, child_env)
    first_login = _first_login(held)
    # 4. The demonstration never mixes with real work, and is marked for good.
    if demo:
        if not created:
            raise DemoNeedsEmpty(held.data_dir)
        values["LIUHEN_DEMO"] = child_env["LIUHEN_DEMO"] = "1"
        installation.write_settings(held, values)
        settings = dataclasses.replace(settings, demo=True)
    if only_prepare:
        herald.announce_login(first_login)
        return 0
    # 5. Everything at once; those who need the store wait for it themselves.
    crier = Herald(
        settings, first_login=first_login, perform=_demonstration(settings) if demo else None
    )
    crier.start()
    stopped = supervision.run(_commands(settings, env), child_env)
    if crier.failure is not None:
        raise crier.failure
    if stopped is not None:
        raise PartStopped(stopped[0], status=stopped[1])
    herald.say("launch.stopped")
    return 0


def _check_ports(settings: Settings) -> None:
    fronts = [(settings.bind, settings.port, "LIUHEN_PORT")]
    if settings.public_name is not None:
        fronts.append(("0.0.0.0", settings.tls_port, "LIUHEN_TLS_PORT"))  # noqa: S104 - asked for
    for address, port, variable in fronts:
        if not installation.is_free(address, port):
            raise PortTaken(port, variable=variable)


def _prepare_tls(settings: Settings) -> None:
    name, certificate, key = settings.public_name, settings.tls_cert_path, settings.tls_key_path
    if name is None or certificate is None or key is None:
        return
    now = datetime.datetime.now(datetime.UTC)
    if settings.tls_root_path is not None:
        root = certificates.ensure_local(settings.tls_root_path.parent, name, now=now)
        days = certificates.days_left(root, now=now)
    else:
        days = certificates.check_bureau(certificate, key, name, now=now)
    if days < certificates.RENEW_DAYS:
        herald.say("launch.certificate_expires", days=days)


def _child_env(env: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{env.get('PATH', os.defpath)}"
    return {**env, **values, "PATH": path, "PYTHONUNBUFFERED": "1"}


def _init(held: Installation, child_env: Mapping[str, str]) -> bool:
    """Bring the database up to date; whether it was empty until now."""
    done = subprocess.run(
        [sys.executable, "-m", "server.cli", "init"],
        env=dict(child_env),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise InitFailed((done.stderr.strip().splitlines() or ["?"])[-1])
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    if answer.get("behind"):
        herald.say("ledger.behind_now_what")
    if answer["created"]:
        installation.write_private(held.first_login_path, json.dumps(answer))
    return bool(answer["created"])


def _first_login(held: Installation) -> FirstLogin | None:
    try:
        answer = json.loads(held.first_login_path.read_text())
    except FileNotFoundError:
        return None
    return FirstLogin(answer["username"], answer["password"], held.first_login_path)


def _demonstration(settings: Settings) -> Callable[[], None]:
    def perform() -> None:
        # Only here: the device client and its drawings have no place in a normal start.
        from server import demo

        result = demo.perform(settings, herald.local_url(settings))
        installation.write_private(
            herald.demo_path(settings.data_dir),
            json.dumps(dataclasses.asdict(result), ensure_ascii=False, indent=1, default=str),
        )

    return perform


def _commands(settings: Settings, env: Mapping[str, str]) -> dict[str, str]:
    """The Procfile's processes but those without work: a store elsewhere, HTTPS without a name."""
    commands = supervision.procfile_commands()
    if env.get("LIUHEN_S3_ENDPOINT"):
        del commands["store"]
    if settings.public_name is None:
        del commands["web-tls"]
    return commands


if __name__ == "__main__":
    sys.exit(main())
