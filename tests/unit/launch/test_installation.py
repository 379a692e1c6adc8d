"""The data folder is private, belongs to one launcher, and keeps its secrets."""

import json
import multiprocessing
import socket

import pytest

from server.launch import installation
from server.launch.errors import AlreadyRunning, FolderUnusable
from server.settings import Settings


@pytest.fixture
def held(tmp_path):
    with installation.held(tmp_path / "var") as held:
        yield held


def test_a_new_folder_and_everything_in_it_is_its_owners_alone(held):
    installation.prepare(held, {})

    modes = {path.stat().st_mode & 0o077 for path in [held.data_dir, *held.data_dir.rglob("*")]}

    assert modes == {0}


def test_the_prepared_environment_is_a_complete_setting(held):
    settings = Settings.from_env(installation.prepare(held, {}))

    assert settings.data_dir == held.data_dir
    assert settings.s3_endpoint.startswith("http://127.0.0.1:")


def test_command_line_tools_find_the_same_installation_by_its_folder(held):
    prepared = Settings.from_env(installation.prepare(held, {"LIUHEN_PORT": "8099"}))

    found = Settings.from_env({"LIUHEN_DATA": str(held.data_dir)})

    assert found == prepared


def test_a_second_start_keeps_secrets_and_ports_but_not_the_options_of_the_first(held):
    first = Settings.from_env(installation.prepare(held, {"LIUHEN_PORT": "8099"}))
    second = Settings.from_env(installation.prepare(held, {}))

    assert second.secret_key == first.secret_key
    assert second.s3_secret_key == first.s3_secret_key
    assert second.s3_endpoint == first.s3_endpoint
    assert (first.port, second.port) == (8099, 8080)


def test_a_demonstration_stays_one_for_good(held):
    installation.write_settings(held, {**installation.prepare(held, {}), "LIUHEN_DEMO": "1"})

    assert Settings.from_env(installation.prepare(held, {})).demo


def test_a_port_taken_meanwhile_is_replaced_and_the_others_stay(held):
    before = installation.store_ports(held)
    with socket.create_server(("127.0.0.1", before["filer"])):
        after = installation.store_ports(held)

    assert after["filer"] != before["filer"]
    assert {**after, "filer": 0} == {**before, "filer": 0}


def test_a_damaged_port_file_is_written_anew(held):
    held.ports_path.write_text("{")

    ports = installation.store_ports(held)

    assert len(set(ports.values())) == 8
    assert json.loads(held.ports_path.read_text()) == ports


def test_for_a_store_elsewhere_nothing_is_invented(held):
    given = {
        "LIUHEN_S3_ENDPOINT": "https://s3.example",
        "LIUHEN_S3_ACCESS_KEY": "a",
        "LIUHEN_S3_SECRET_KEY": "b",
    }

    prepared = installation.prepare(held, given)

    assert {name: prepared[name] for name in given} == given
    assert not held.ports_path.exists()


def test_a_second_launcher_on_the_same_folder_is_refused(held):
    with multiprocessing.get_context("spawn").Pool(1) as other:
        refusal = other.apply(_refusal, (held.data_dir,))

    assert str(held.data_dir) in refusal


def test_a_folder_that_cannot_be_made_is_one_plain_sentence(tmp_path):
    (tmp_path / "file").write_text("")

    with (
        pytest.raises(FolderUnusable) as refused,
        installation.held(tmp_path / "file" / "var"),
    ):
        pass

    assert "\n" not in refused.value.sentence("en")


def _refusal(folder):
    try:
        with installation.held(folder):
            return ""
    except AlreadyRunning as error:
        return error.sentence("zh")
