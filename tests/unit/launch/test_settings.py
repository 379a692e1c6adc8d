"""The settings are complete and consistent, or refused by name."""

import pytest

from media.s3_address import Encryption, Retention, S3Address
from server.settings import Settings, SettingsError

COMPLETE = {
    "LIUHEN_SECRET_KEY": "k" * 32,
    "LIUHEN_S3_ENDPOINT": "http://127.0.0.1:9000/",
    "LIUHEN_S3_ACCESS_KEY": "access",
    "LIUHEN_S3_SECRET_KEY": "secret",
}


@pytest.fixture
def read(tmp_path):
    return lambda **more: Settings.from_env({"LIUHEN_DATA": str(tmp_path), **COMPLETE, **more})


def test_four_secrets_are_enough_and_all_else_has_a_default(read, tmp_path):
    settings = read()

    assert settings.database_url == f"sqlite:///{tmp_path}/liuhen.sqlite"
    assert settings.base_url == "http://127.0.0.1:8080"
    assert settings.s3_endpoint == "http://127.0.0.1:9000"
    assert settings.bind == "127.0.0.1"
    assert settings.tls_cert_path is settings.tls_root_path is None
    assert not settings.demo


@pytest.mark.parametrize("name", sorted(COMPLETE))
def test_a_missing_secret_is_named(read, name):
    with pytest.raises(SettingsError) as refused:
        read(**{name: ""})

    assert refused.value.names == (name,)


def test_all_missing_settings_are_named_at_once(tmp_path):
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({"LIUHEN_DATA": str(tmp_path)})

    assert set(refused.value.names) == set(COMPLETE)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LIUHEN_PORT", "0"),
        ("LIUHEN_PORT", "65536"),
        ("LIUHEN_PORT", "http"),
        ("LIUHEN_PUSH_LIMIT_LINES", "1e3"),
        ("LIUHEN_DEMO", "perhaps"),
        ("LIUHEN_SECRET_KEY", "short"),
        ("LIUHEN_DATABASE_URL", "mysql://h/d"),
        ("LIUHEN_HUEY_URL", "redis://h"),
        ("LIUHEN_S3_ENDPOINT", "127.0.0.1:9000"),
        ("LIUHEN_BASE_URL", "liuhen.example"),
        ("LIUHEN_PUBLIC_NAME", "192.168.1.5"),
        ("LIUHEN_PUBLIC_NAME", "[fd00::1]"),
        ("LIUHEN_PUBLIC_NAME", "../etc"),
        ("LIUHEN_PUBLIC_NAME", "a_b.example"),
        ("LIUHEN_PUBLIC_NAME", "1.2.3.4.5"),
        ("LIUHEN_TLS_CERT", "/nowhere.pem"),
        ("LIUHEN_S3_ADDRESSING", "dns"),
        ("LIUHEN_S3_CA_BUNDLE", "/nowhere.pem"),
        ("LIUHEN_S3_ENCRYPTION", "aes"),
        ("LIUHEN_OBJECT_LOCK_MODE", "legal"),
        ("LIUHEN_OBJECT_LOCK_DAYS", "0"),
        ("LIUHEN_LEDGER_SIGNER", "pkcs11-tool 'without end"),
        ("LIUHEN_LEDGER_PUBLIC", "perhaps"),
        ("LIUHEN_AUDIT_LEAVES", "0"),
    ],
)
def test_an_unreadable_setting_is_refused_by_its_name(read, name, value):
    with pytest.raises(SettingsError) as refused:
        read(**{name: value})

    assert name in refused.value.names


@pytest.mark.parametrize(
    "contradiction",
    [
        {"LIUHEN_TLS_CERT": "/c", "LIUHEN_TLS_KEY": "/k"},
        {"LIUHEN_PUBLIC_NAME": "a.example", "LIUHEN_PORT": "8443"},
        {"LIUHEN_SESSION_IDLE_S": "3600", "LIUHEN_SESSION_LIFETIME_S": "1800"},
        {"LIUHEN_LINE_LIMIT_BYTES": "1048576", "LIUHEN_PUSH_LIMIT_BYTES": "65536"},
        {"LIUHEN_S3_KMS_KEY": "key", "LIUHEN_S3_ENCRYPTION": "AES256"},
    ],
)
def test_settings_that_contradict_each_other_are_both_named(read, contradiction):
    with pytest.raises(SettingsError) as refused:
        read(**contradiction)

    assert len(refused.value.names) == 2


def test_originals_are_locked_for_half_a_year_unless_something_else_is_said(read):
    assert read().s3_address.retention == Retention("GOVERNANCE", 180)
    assert read(LIUHEN_OBJECT_LOCK_MODE="off").s3_address.retention is None
    longer = read(LIUHEN_OBJECT_LOCK_MODE="compliance", LIUHEN_OBJECT_LOCK_DAYS="3650")
    assert longer.s3_address.retention == Retention("COMPLIANCE", 3650)


def test_a_store_elsewhere_is_described_by_settings(read, tmp_path):
    (tmp_path / "root.pem").write_text("PEM")

    address = read(
        LIUHEN_S3_ENDPOINT="https://s3.bureau.example",
        LIUHEN_S3_BUCKET="evidence",
        LIUHEN_S3_REGION="cn-north-1",
        LIUHEN_S3_ADDRESSING="virtual",
        LIUHEN_S3_CA_BUNDLE=str(tmp_path / "root.pem"),
        LIUHEN_S3_ENCRYPTION="aws:kms",
        LIUHEN_S3_KMS_KEY="alias/evidence",
    ).s3_address

    assert address == S3Address(
        endpoint="https://s3.bureau.example",
        access_key="access",
        secret_key="secret",
        bucket="evidence",
        region="cn-north-1",
        addressing="virtual",
        ca_bundle=tmp_path / "root.pem",
        encryption=Encryption("aws:kms", "alias/evidence"),
        retention=Retention("GOVERNANCE", 180),
    )


def test_a_public_name_brings_https_and_a_folder_of_its_own_for_the_authority(read, tmp_path):
    settings = read(LIUHEN_PUBLIC_NAME="liuhen.example", LIUHEN_TLS_PORT="9443")

    assert settings.base_url == "https://liuhen.example:9443"
    assert settings.tls_root_path == tmp_path / "tls" / "liuhen.example" / "root.pem"


def test_with_a_bureau_certificate_there_is_no_root_to_trust(read):
    settings = read(LIUHEN_PUBLIC_NAME="liuhen.example", LIUHEN_TLS_CERT="/c", LIUHEN_TLS_KEY="/k")

    assert settings.tls_root_path is None


def test_the_installation_file_completes_and_the_environment_overrides(tmp_path):
    (tmp_path / "secrets").mkdir()
    lines = "".join(f"{name}={value}\n" for name, value in COMPLETE.items())
    (tmp_path / "secrets" / "settings.env").write_text(f"# note\n{lines}LIUHEN_PORT=8090\n")

    stored = Settings.from_env({"LIUHEN_DATA": str(tmp_path)})
    overridden = Settings.from_env({"LIUHEN_DATA": str(tmp_path), "LIUHEN_PORT": "8091"})

    assert stored.port == 8090
    assert overridden.port == 8091
    assert overridden.secret_key == stored.secret_key


def test_every_number_can_be_set_by_its_variable(read):
    numbers = {n for n in Settings.variables() if n.endswith(("_S", "_MS", "_BYTES", "_LINES"))}

    assert len(numbers) >= 12
    for name in numbers:
        with pytest.raises(SettingsError):
            read(**{name: "-1"})
