"""What can keep the launcher from starting; every error is one plain sentence in the catalogue."""

from pathlib import Path

from server.failures import ServerError
from sync import catalogue


class LaunchError(ServerError):
    """Base of the launcher's errors; the catalogue's text of ``code`` is its sentence."""

    code = "launch.failed"

    def __init__(self, **values: object) -> None:
        super().__init__(catalogue.text(self.code, "en", **values))
        self.values = values

    def sentence(self, lang: str) -> str:
        """What went wrong and what to do about it, in ``lang``."""
        return catalogue.text(self.code, lang, **self.values)


class AlreadyRunning(LaunchError):
    """Another launcher holds this data folder."""

    code = "launch.already_running"

    def __init__(self, data_dir: Path) -> None:
        super().__init__(folder=data_dir)


class FolderUnusable(LaunchError):
    """The data folder cannot be made or written."""

    code = "launch.folder_unusable"

    def __init__(self, data_dir: Path, *, reason: str) -> None:
        super().__init__(folder=data_dir, reason=reason)


class PortTaken(LaunchError):
    """Another program listens on the port, or it may not be opened."""

    code = "launch.port_taken"

    def __init__(self, port: int, *, variable: str) -> None:
        super().__init__(port=port, variable=variable)


class SettingsRefused(LaunchError):
    """The settings are incomplete or contradict each other."""

    code = "launch.settings_refused"

    def __init__(self, reason: str) -> None:
        super().__init__(reason=reason)


class AddressRefused(LaunchError):
    """--lan was given an address: phones grant camera and offline storage to names only."""

    code = "launch.address_refused"

    def __init__(self, name: str) -> None:
        super().__init__(name=name)


class NameRefused(LaunchError):
    """--lan was given something that is not a DNS name."""

    code = "launch.name_refused"

    def __init__(self, name: str) -> None:
        super().__init__(name=name)


class CertificateUnusable(LaunchError):
    """The bureau's certificate or key cannot be read, has expired or names another host."""

    code = "launch.certificate_unusable"

    def __init__(self, path: Path, *, reason: str) -> None:
        super().__init__(path=path, reason=reason)


class StoreNotReady(LaunchError):
    """The object store did not come up, or would not switch its fsync on."""

    code = "launch.store_not_ready"

    def __init__(self, reason: str) -> None:
        super().__init__(reason=reason)


class InitFailed(LaunchError):
    """The database could not be created, migrated or opened."""

    code = "launch.init_failed"

    def __init__(self, reason: str) -> None:
        super().__init__(reason=reason)


class DemoNeedsEmpty(LaunchError):
    """--demo never writes into an installation that already holds something."""

    code = "launch.demo_needs_empty"

    def __init__(self, data_dir: Path) -> None:
        super().__init__(folder=data_dir)


class DemoFailed(LaunchError):
    """The demonstration patrol stopped half-way."""

    code = "launch.demo_failed"

    def __init__(self, reason: str) -> None:
        super().__init__(reason=reason)


class WebNotReady(LaunchError):
    """The web server did not answer in time."""

    code = "launch.web_not_ready"

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds=seconds)


class PartStopped(LaunchError):
    """One of the processes ended by itself; the others were stopped."""

    code = "launch.part_stopped"

    def __init__(self, part: str, *, status: int) -> None:
        super().__init__(part=part, status=status)
