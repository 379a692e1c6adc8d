"""The settings: read once from the environment, complete and consistent or refused by name."""

import ipaddress
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from media.s3_address import Addressing, Algorithm, Encryption, LockMode, Retention, S3Address
from server.authorities import Authority, read_authorities
from server.failures import ServerError
from server.recording_hours import Hours, read_hours
from sync.evidence.policy import Policy, PolicyMalformed, parse_policy

_REQUIRED = (
    "LIUHEN_SECRET_KEY",
    "LIUHEN_S3_ENDPOINT",
    "LIUHEN_S3_ACCESS_KEY",
    "LIUHEN_S3_SECRET_KEY",
)
_OPTIONAL = frozenset(
    {
        "LIUHEN_DATA",
        "LIUHEN_CHECKPOINT_DIR",
        "LIUHEN_DATABASE_URL",
        "LIUHEN_HUEY_URL",
        "LIUHEN_S3_BUCKET",
        "LIUHEN_S3_REGION",
        "LIUHEN_S3_ADDRESSING",
        "LIUHEN_S3_CA_BUNDLE",
        "LIUHEN_S3_ENCRYPTION",
        "LIUHEN_S3_KMS_KEY",
        "LIUHEN_S3_PRESIGNED_READS",
        "LIUHEN_OBJECT_LOCK_MODE",
        "LIUHEN_REQUIRE_TIME",
        "LIUHEN_REQUIRE_PLACE",
        "LIUHEN_RECORDING_HOURS",
        "LIUHEN_WITNESS_POLICY",
        "LIUHEN_TSA",
        "LIUHEN_BIND",
        "LIUHEN_BASE_URL",
        "LIUHEN_PUBLIC_NAME",
        "LIUHEN_TLS_CERT",
        "LIUHEN_TLS_KEY",
        "LIUHEN_DEMO",
        "LIUHEN_LEDGER_PUBLIC",
        "LIUHEN_LEDGER_SIGNER",
        "LIUHEN_LEDGER_NEXT_SIGNER",
    }
)
_DNS_NAME = re.compile(
    r"(?=.{1,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
)
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "false", "no", "off"})
_Word = TypeVar("_Word", bound=str)


class SettingsError(ServerError):
    """A setting is missing, unreadable or contradicts another; ``names`` says which."""

    code = "server.settings"

    def __init__(self, reason: str, *names: str) -> None:
        super().__init__(f"{', '.join(names)}: {reason}" if names else reason)
        self.reason = reason
        self.names = names


def _number(default: int, low: int, high: int) -> int:
    """A whole-number field whose variable is LIUHEN_ and the field's name in capitals."""
    value: int = field(default=default, metadata={"low": low, "high": high})
    return value


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting of the server; docs/operations.md lists them with their meaning.

    Variables are LIUHEN_* in the environment. What is not set there is looked up
    in ``<data>/secrets/settings.env``, which the launcher writes on first start,
    so that the command-line tools find the same installation.
    """

    data_dir: Path
    secrets_dir: Path
    #: Where the newest checkpoint is kept beside the database, best on another disk.
    checkpoint_dir: Path
    database_url: str
    #: Where huey keeps its wake-up calls: ``sqlite:///…`` or ``postgresql://…``.
    huey_url: str
    #: Signs console sessions; at least 32 characters.
    secret_key: str

    s3_endpoint: str
    s3_access_key: str
    s3_secret_key: str
    s3_bucket: str = "liuhen"
    s3_region: str = "us-east-1"
    #: ``path`` or ``virtual``: the bucket in the path, or in front of the host's name.
    s3_addressing: Addressing = "path"
    s3_ca_bundle: Path | None = None
    #: ``none``, ``AES256`` or ``aws:kms``: what the store is asked to encrypt objects with.
    s3_encryption: Algorithm | Literal["none"] = "none"
    s3_kms_key: str | None = None
    #: Whether downloads of originals are sent to the store itself, under an address that
    #: is good for ``s3_presigned_s``.
    s3_presigned_reads: bool = False
    s3_presigned_s: int = _number(60, 5, 3600)
    #: ``GOVERNANCE``, ``COMPLIANCE`` or ``off``: how originals are locked where the bucket
    #: has Object Lock, and for how long.
    object_lock_mode: LockMode | Literal["off"] = "GOVERNANCE"
    object_lock_days: int = _number(180, 1, 36_500)

    #: Address and port of plain HTTP; only a proxy or this machine should reach it.
    bind: str = "127.0.0.1"
    port: int = _number(8080, 1, 65535)
    tls_port: int = _number(8443, 1, 65535)
    #: The URL under which people and devices reach us, without a trailing slash.
    base_url: str
    #: The DNS name of HTTPS, or None where only this machine (or a proxy) is served.
    public_name: str | None = None
    tls_cert_path: Path | None = None
    tls_key_path: Path | None = None
    #: PEM of the local authority that phones must trust; None with a bureau certificate.
    tls_root_path: Path | None = None
    web_threads: int = _number(256, 2, 512)

    #: The command that signs for the ledger, and the one that is to take over; empty: key files.
    ledger_signer: tuple[str, ...] = ()
    ledger_next_signer: tuple[str, ...] = ()
    #: Whether everybody may read the ledger's tiles, or enrolled devices alone.
    ledger_public: bool = False

    #: Everything in this installation is fictitious: every page says so.
    demo: bool = False

    session_idle_s: int = _number(1800, 60, 86_400)
    session_lifetime_s: int = _number(43_200, 300, 604_800)
    login_failures: int = _number(10, 1, 1000)
    login_window_s: int = _number(900, 10, 86_400)
    token_ttl_s: int = _number(3600, 60, 86_400)
    nonce_ttl_s: int = _number(120, 5, 3600)
    enrolment_ttl_s: int = _number(86_400, 60, 30 * 86_400)
    upload_ttl_s: int = _number(7 * 86_400, 3600, 365 * 86_400)

    line_limit_bytes: int = _number(65_536, 4096, 1 << 20)
    push_limit_lines: int = _number(1000, 1, 100_000)
    push_limit_bytes: int = _number(8 << 20, 65_536, 256 << 20)
    #: A multipart upload has 10,000 parts at most, of 8 MiB here.
    media_limit_bytes: int = _number(8 << 30, 1 << 20, 64 << 30)
    unannounced_limit_bytes: int = _number(20 << 30, 1 << 20, 1 << 50)
    open_uploads_limit: int = _number(1000, 1, 100_000)
    #: The store's size where it is not the disk under the data folder; 0 if nobody says.
    store_capacity_bytes: int = _number(0, 0, 1 << 60)
    #: Below this share of free room audio and video are not taken; photos and journals are.
    recordings_stop_percent: int = _number(10, 0, 90)
    #: When recordings may be sent, in China's time: ``18:00-07:00``, several with commas,
    #: each with ``@kbit/s`` if it is bounded; empty is always.
    recording_hours: tuple[Hours, ...] = ()
    #: Every original is read again within so many days, at most so much of them a night.
    rehash_days: int = _number(90, 1, 3650)
    rehash_bytes: int = _number(100 << 30, 1 << 20, 1 << 60)
    #: So many leaves of the ledger are audited a night, from where the last one ended.
    audit_leaves: int = _number(5_000_000, 1000, 1 << 40)
    clock_skew_tolerance_ms: int = _number(120_000, 0, 86_400_000)
    #: Whether a file without a time, or a place off the site, counts as inconsistent.
    require_time: bool = False
    require_place: bool = False
    #: How long a case is kept since it was sealed, and a recording that nobody relies on.
    retention_years: int = _number(30, 1, 200)
    recording_retention_days: int = _number(183, 183, 36_500)
    feed_retention_days: int = _number(400, 31, 36_500)
    checkpoint_interval_ms: int = _number(1000, 250, 60_000)
    #: Who stamps our times from outside, how often at most while the ledger grows, and how
    #: many days before its certificate ends a stamp is renewed.
    authorities: tuple[Authority, ...] = ()
    tsa_interval_s: int = _number(600, 60, 86_400)
    tsa_renew_days: int = _number(30, 1, 3650)
    #: Which witnesses the ledger is shown to, and whose count; None where there are none.
    witness_policy: Policy | None = None

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """Read the settings from ``env`` and, below it, from the installation's own file.

        Raises:
            SettingsError: names every variable that is missing, unreadable or contradictory.
        """
        data_dir = Path(env.get("LIUHEN_DATA") or "var").resolve()
        values = {**stored_settings(data_dir), **{k: v for k, v in env.items() if v}}
        missing = [name for name in _REQUIRED if not values.get(name)]
        if missing:
            raise SettingsError("not set", *missing)
        numbers = {
            item.name: _whole(values, item.name, item.metadata["low"], item.metadata["high"])
            for item in fields(cls)
            if item.metadata and f"LIUHEN_{item.name.upper()}" in values
        }
        certificate, key, root = _tls_paths(values, data_dir)
        settings = cls(
            data_dir=data_dir,
            secrets_dir=data_dir / "secrets",
            checkpoint_dir=_path(values, "LIUHEN_CHECKPOINT_DIR") or data_dir / "checkpoints",
            database_url=values.get("LIUHEN_DATABASE_URL", f"sqlite:///{data_dir}/liuhen.sqlite"),
            huey_url=values.get("LIUHEN_HUEY_URL", f"sqlite:///{data_dir}/jobs.sqlite"),
            secret_key=values["LIUHEN_SECRET_KEY"],
            s3_endpoint=values["LIUHEN_S3_ENDPOINT"].rstrip("/"),
            s3_access_key=values["LIUHEN_S3_ACCESS_KEY"],
            s3_secret_key=values["LIUHEN_S3_SECRET_KEY"],
            s3_bucket=values.get("LIUHEN_S3_BUCKET", "liuhen"),
            s3_region=values.get("LIUHEN_S3_REGION", "us-east-1"),
            s3_addressing=_choice(values, "LIUHEN_S3_ADDRESSING", "path", "virtual"),
            s3_ca_bundle=_path(values, "LIUHEN_S3_CA_BUNDLE"),
            s3_encryption=_choice(values, "LIUHEN_S3_ENCRYPTION", "none", "AES256", "aws:kms"),
            s3_kms_key=values.get("LIUHEN_S3_KMS_KEY"),
            s3_presigned_reads=_flag(values, "LIUHEN_S3_PRESIGNED_READS"),
            object_lock_mode=_choice(
                values, "LIUHEN_OBJECT_LOCK_MODE", "GOVERNANCE", "COMPLIANCE", "off"
            ),
            bind=values.get("LIUHEN_BIND", "127.0.0.1"),
            base_url=_base_url(values),
            public_name=values.get("LIUHEN_PUBLIC_NAME"),
            tls_cert_path=certificate,
            tls_key_path=key,
            tls_root_path=root,
            demo=_flag(values, "LIUHEN_DEMO"),
            ledger_signer=_command(values, "LIUHEN_LEDGER_SIGNER"),
            ledger_next_signer=_command(values, "LIUHEN_LEDGER_NEXT_SIGNER"),
            ledger_public=_flag(values, "LIUHEN_LEDGER_PUBLIC"),
            recording_hours=_hours(values),
            authorities=_authorities(values),
            witness_policy=_witness_policy(values),
            require_time=_flag(values, "LIUHEN_REQUIRE_TIME"),
            require_place=_flag(values, "LIUHEN_REQUIRE_PLACE"),
            **numbers,
        )
        settings._refuse_contradictions()
        return settings

    @classmethod
    def variables(cls) -> frozenset[str]:
        """The name of every variable that ``from_env`` reads."""
        numbers = {f"LIUHEN_{item.name.upper()}" for item in fields(cls) if item.metadata}
        return frozenset(numbers) | frozenset(_REQUIRED) | _OPTIONAL

    @property
    def s3_address(self) -> S3Address:
        """How the store is reached and what it is asked for."""
        algorithm, mode = self.s3_encryption, self.object_lock_mode
        return S3Address(
            endpoint=self.s3_endpoint,
            access_key=self.s3_access_key,
            secret_key=self.s3_secret_key,
            bucket=self.s3_bucket,
            region=self.s3_region,
            addressing=self.s3_addressing,
            ca_bundle=self.s3_ca_bundle,
            encryption=None if algorithm == "none" else Encryption(algorithm, self.s3_kms_key),
            retention=None if mode == "off" else Retention(mode, self.object_lock_days),
        )

    def _refuse_contradictions(self) -> None:
        if len(self.secret_key) < 32:
            raise SettingsError("must have at least 32 characters", "LIUHEN_SECRET_KEY")
        for name, url, schemes in (
            ("LIUHEN_DATABASE_URL", self.database_url, ("sqlite", "postgresql")),
            ("LIUHEN_HUEY_URL", self.huey_url, ("sqlite", "postgresql")),
            ("LIUHEN_S3_ENDPOINT", self.s3_endpoint, ("http", "https")),
            ("LIUHEN_BASE_URL", self.base_url, ("http", "https")),
        ):
            if urlsplit(url).scheme.partition("+")[0] not in schemes:
                raise SettingsError(f"must be a URL with {' or '.join(schemes)}", name)
        if self.s3_ca_bundle is not None and not self.s3_ca_bundle.is_file():
            raise SettingsError("no such file", "LIUHEN_S3_CA_BUNDLE")
        if self.s3_kms_key is not None and self.s3_encryption != "aws:kms":
            raise SettingsError("a key needs aws:kms", "LIUHEN_S3_KMS_KEY", "LIUHEN_S3_ENCRYPTION")
        if self.public_name is not None:
            check_public_name(self.public_name)
            if self.port == self.tls_port:
                raise SettingsError("must differ", "LIUHEN_PORT", "LIUHEN_TLS_PORT")
        if (self.tls_cert_path is None) != (self.tls_key_path is None):
            raise SettingsError("set both or neither", "LIUHEN_TLS_CERT", "LIUHEN_TLS_KEY")
        if self.tls_cert_path is not None and self.public_name is None:
            raise SettingsError(
                "a certificate needs the DNS name", "LIUHEN_TLS_CERT", "LIUHEN_PUBLIC_NAME"
            )
        if self.session_idle_s > self.session_lifetime_s:
            raise SettingsError(
                "idle time is longer than the whole session",
                "LIUHEN_SESSION_IDLE_S",
                "LIUHEN_SESSION_LIFETIME_S",
            )
        if self.line_limit_bytes > self.push_limit_bytes:
            raise SettingsError(
                "one line would not fit into a push",
                "LIUHEN_LINE_LIMIT_BYTES",
                "LIUHEN_PUSH_LIMIT_BYTES",
            )


def check_public_name(name: str) -> None:
    """Refuse what phones will not treat as one lasting origin: an address or a malformed name.

    Raises:
        SettingsError: ``reason`` is ``"address"`` or ``"name"``.
    """
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        pass
    else:
        raise SettingsError("address", "LIUHEN_PUBLIC_NAME")
    # The last label of a name is never all digits, so 10.0.0 or 1.2.3.4.5 is no name either.
    if not _DNS_NAME.fullmatch(name) or name.rpartition(".")[2].isdigit():
        raise SettingsError("name", "LIUHEN_PUBLIC_NAME")


def stored_settings(data_dir: Path) -> dict[str, str]:
    """The KEY=VALUE lines of the installation's own file; empty before the first start."""
    path = data_dir / "secrets" / "settings.env"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(f"cannot read {path} ({error.strerror})", "LIUHEN_DATA") from error
    pairs = (line.partition("=") for line in text.splitlines() if line and line[0] != "#")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _whole(values: Mapping[str, str], name: str, low: int, high: int) -> int:
    variable = f"LIUHEN_{name.upper()}"
    try:
        number = int(values[variable])
    except ValueError as error:
        raise SettingsError("must be a whole number", variable) from error
    if not low <= number <= high:
        raise SettingsError(f"must lie between {low} and {high}", variable)
    return number


def _flag(values: Mapping[str, str], variable: str) -> bool:
    word = values.get(variable, "").lower()
    if word not in _TRUE | _FALSE:
        raise SettingsError("must be 1 or 0", variable)
    return word in _TRUE


def _command(values: Mapping[str, str], variable: str) -> tuple[str, ...]:
    """A command line in words, as a shell would split it."""
    try:
        return tuple(shlex.split(values.get(variable, "")))
    except ValueError as error:
        raise SettingsError(f"cannot be split into words ({error})", variable) from error


def _hours(values: Mapping[str, str]) -> tuple[Hours, ...]:
    try:
        return read_hours(values.get("LIUHEN_RECORDING_HOURS", ""))
    except ValueError as error:
        raise SettingsError(
            f"must be like 18:00-07:00@4000, not {error}", "LIUHEN_RECORDING_HOURS"
        ) from error


def _authorities(values: Mapping[str, str]) -> tuple[Authority, ...]:
    path = _path(values, "LIUHEN_TSA")
    try:
        return read_authorities(path) if path else ()
    except ValueError as error:
        raise SettingsError(str(error), "LIUHEN_TSA") from error


def _witness_policy(values: Mapping[str, str]) -> Policy | None:
    path = _path(values, "LIUHEN_WITNESS_POLICY")
    if path is None:
        return None
    try:
        policy = parse_policy(path.read_bytes())
    except (OSError, PolicyMalformed) as error:
        raise SettingsError(str(error), "LIUHEN_WITNESS_POLICY") from error
    for witness in policy.witnesses:
        if witness.url and urlsplit(witness.url).scheme not in ("http", "https"):
            raise SettingsError(f"{witness.name}: must be a URL with http", "LIUHEN_WITNESS_POLICY")
        if len(witness.key.name) > 255:
            raise SettingsError(f"{witness.name}: its name is too long", "LIUHEN_WITNESS_POLICY")
    return policy


def _choice(values: Mapping[str, str], variable: str, *words: _Word) -> _Word:
    """One of ``words``, however its letters are written; the first where nothing is said."""
    said = values.get(variable, words[0])
    for word in words:
        if said.lower() == word.lower():
            return word
    raise SettingsError(f"must be {', '.join(words[:-1])} or {words[-1]}", variable)


def _path(values: Mapping[str, str], variable: str) -> Path | None:
    value = values.get(variable)
    return Path(value).resolve() if value else None


def _base_url(values: Mapping[str, str]) -> str:
    if "LIUHEN_BASE_URL" in values:
        return values["LIUHEN_BASE_URL"].rstrip("/")
    if "LIUHEN_PUBLIC_NAME" in values:
        port = values.get("LIUHEN_TLS_PORT", "8443")
        return f"https://{values['LIUHEN_PUBLIC_NAME']}" + ("" if port == "443" else f":{port}")
    return f"http://127.0.0.1:{values.get('LIUHEN_PORT', '8080')}"


def _tls_paths(
    values: Mapping[str, str], data_dir: Path
) -> tuple[Path | None, Path | None, Path | None]:
    """Certificate, key and root: the bureau's if named, else the place of the local authority's."""
    name = values.get("LIUHEN_PUBLIC_NAME")
    if "LIUHEN_TLS_CERT" in values or "LIUHEN_TLS_KEY" in values or name is None:
        return _path(values, "LIUHEN_TLS_CERT"), _path(values, "LIUHEN_TLS_KEY"), None
    check_public_name(name)
    # One folder for each name: the authority of one must never sign for another.
    folder = data_dir / "tls" / name
    return folder / "leaf.pem", folder / "leaf.key", folder / "root.pem"
