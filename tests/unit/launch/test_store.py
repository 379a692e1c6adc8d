"""The store is private to this machine and to us, and fsync is proved, not assumed."""

import datetime
import json

import pytest

from server.launch import storeconfig, supervision
from server.launch.errors import StoreNotReady
from server.launch.installation import Installation, prepare
from server.launch.store import fsync_is_on, refuse_encryption
from server.settings import Settings

NOW = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
PORTS = {
    name: 21_001 + place
    for place, name in enumerate(
        ("master", "master_grpc", "volume", "volume_grpc", "filer", "filer_grpc", "s3", "s3_grpc")
    )
}


def write_config(installation):
    storeconfig.write_config(
        installation, access_key="AK", secret_key="SK", bucket="liuhen", now=NOW
    )


@pytest.fixture
def installation(tmp_path):
    installation = Installation(tmp_path)
    for folder in ("secrets/store", "store", "log", "run"):
        (tmp_path / folder).mkdir(parents=True)
    write_config(installation)
    return installation


def test_the_command_binds_loopback_only_and_turns_off_what_nobody_needs(installation):
    command = storeconfig.server_command(installation, PORTS)

    assert "-ip.bind=127.0.0.1" in command
    for off in (
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-webdav=false",
        "-s3.iam=false",
        "-master.telemetry=false",
        "-master.volumePreallocate=false",
    ):
        assert off in command


def test_no_secret_of_the_store_stands_on_its_command_line(installation):
    command = " ".join(storeconfig.server_command(installation, PORTS))

    assert "AK" not in command
    assert "SK" not in command


def test_filer_volumes_and_grpc_are_closed_to_other_users_of_the_machine(installation):
    security = (installation.store_config_dir / "security.toml").read_text()

    for section in ("[jwt.signing]", "[jwt.signing.read]", "[jwt.filer_signing]", "[grpc.filer]"):
        assert section in security
    assert 'key = ""' not in security


def test_each_start_has_new_keys_and_administrators_but_the_same_credentials(installation):
    folder = installation.store_config_dir
    keys, administrator = (
        (folder / "security.toml").read_text(),
        storeconfig.administrator(installation),
    )

    write_config(installation)

    ours = json.loads((folder / "s3.json").read_text())["identities"][0]
    assert (folder / "security.toml").read_text() != keys
    assert storeconfig.administrator(installation) != administrator
    assert ours["credentials"] == [{"accessKey": "AK", "secretKey": "SK"}]
    assert all(action.endswith(":liuhen") for action in ours["actions"])


def test_the_embedded_store_does_not_pretend_to_encrypt(tmp_path):
    (tmp_path / "secrets").mkdir()
    values = prepare(Installation(tmp_path), {"LIUHEN_S3_ENCRYPTION": "AES256"})

    with pytest.raises(StoreNotReady, match="LIUHEN_S3_ENCRYPTION"):
        refuse_encryption(Settings.from_env(values))


@pytest.mark.parametrize(
    ("rules", "on"),
    [
        ([{"locationPrefix": "/buckets/b/", "fsync": True}], True),
        ([{"locationPrefix": "/buckets/b/", "fsync": False}], False),
        ([{"locationPrefix": "/buckets/other/", "fsync": True}], False),
        ([], False),
    ],
)
def test_fsync_counts_as_on_only_if_the_store_says_so_for_the_bucket(rules, on):
    before = json.dumps({"version": 1, "locations": []}, indent=2)
    after = json.dumps({"version": 1, "locations": rules}, indent=2)

    assert fsync_is_on(f"{before}\n> {after}\n>", "/buckets/b/") is on


def test_an_answer_that_is_no_configuration_does_not_count():
    assert not fsync_is_on("error: no filer", "/buckets/b/")
    assert not fsync_is_on('{\n  "version": 1, "locations": [', "/buckets/b/")


def test_the_procfile_names_the_processes_and_each_is_the_shell_itself():
    commands = supervision.procfile_commands()

    assert list(commands) == ["store", "web", "web-tls", "worker", "sequencer"]
    # Without exec a shell would stand between us and the process and outlive a signal.
    assert all(command.startswith("exec python -m server.") for command in commands.values())
