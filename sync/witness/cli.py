"""``liuhen-witness``: the witness on the command line.

Exit codes: 0 done, 1 refused or failed, 2 the command was misused.
"""

import argparse
import logging
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

from sync import catalogue
from sync.errors import SyncError
from sync.evidence.fork import format_fork
from sync.witness.serving import WitnessServer
from sync.witness.submission import MAX_BYTES, signature_lines
from sync.witness.witness import SizeConflict, Witness, fork_of

_STDIN = "-"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    options = _parser().parse_args(given)
    try:
        return _run(options)
    except SizeConflict as error:
        _fail(error)
        name = "witness.forked" if error.forked else "witness.conflict_now_what"
        _say(options, name, error=True, size=error.size)
    except (SyncError, OSError, sqlite3.Error) as error:
        _fail(error)
    return 1


def _run(options: argparse.Namespace) -> int:
    folder: Path = options.folder
    if options.command == "init":
        _say(options, "witness.made")
        _print(Witness.make(folder, options.name).key)
        return 0
    witness = Witness(folder)
    if options.command == "add-log":
        _say(options, "witness.added", origin=witness.add_log(options.vkey).name)
    elif options.command == "keys":
        _print(witness.key)
    elif options.command == "logs":
        for row in witness.logs():
            _print(row)
    elif options.command == "sign":
        _sign(options, witness)
    elif options.command == "refused":
        _refused(options, witness)
    else:
        _serve(options, witness)
    return 0


def _sign(options: argparse.Namespace, witness: Witness) -> None:
    if options.file == _STDIN:
        data = sys.stdin.buffer.read(MAX_BYTES + 1)
    else:
        with Path(options.file).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    note = witness.cosign_file(data)
    if options.file == _STDIN and options.out is None:
        sys.stdout.write(note)
        return
    out = Path(options.out or f"{options.file}.cosigned")
    out.write_bytes(note.encode())
    _say(options, "witness.signed", path=out)
    _say(options, "witness.line")
    sys.stdout.write(signature_lines(note)[-1])


def _refused(options: argparse.Namespace, witness: Witness) -> None:
    for number, refused in enumerate(witness.refused(), start=1):
        _say(
            options,
            "witness.refused",
            origin=refused.origin,
            size=refused.size,
            reason=refused.reason,
            at_s=refused.at_s,
        )
        proof = fork_of(refused)
        if proof is not None and options.out is not None:
            path = Path(options.out) / f"fork-{refused.size}-{number}.json"
            path.write_text(format_fork(proof), "utf-8")
            _say(options, "witness.fork_written", path=path)


def _serve(options: argparse.Namespace, witness: Witness) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    server = WitnessServer(
        witness,
        (options.host, options.port),
        certificate=options.certificate,
        certificate_key=options.certificate_key,
    )
    with server:
        _say(options, "witness.serving", address=f"{options.host}:{server.server_port}")
        sys.stdout.flush()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="liuhen-witness", description=_both("program"))
    parser.add_argument(
        "--folder", type=Path, default=Path.home() / ".liuhen-witness", help=_both("folder")
    )
    parser.add_argument(
        "--lang",
        choices=catalogue.LANGUAGES,
        default=catalogue.DEFAULT_LANGUAGE,
        help=_both("lang"),
    )
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str) -> argparse.ArgumentParser:
        text = _both(name.replace("-", "_"))
        return commands.add_parser(name, help=text, description=text)

    command("init").add_argument("name", help=_both("name"))
    command("add-log").add_argument("vkey", help=_both("vkey"))
    command("keys")
    command("logs")
    sign = command("sign")
    sign.add_argument("file", help=_both("file"))
    sign.add_argument("--out", help=_both("out"))
    command("refused").add_argument("--out", help=_both("refused_out"))
    serve = command("serve")
    serve.add_argument("--host", default="127.0.0.1", help=_both("host"))
    serve.add_argument("--port", type=int, default=8730, help=_both("port"))
    serve.add_argument("--certificate", type=Path, help=_both("certificate"))
    serve.add_argument("--certificate-key", type=Path, help=_both("certificate_key"))
    return parser


def _both(name: str) -> str:
    return " / ".join(
        catalogue.text(f"witness.help.{name}", lang).replace("%", "%%")
        for lang in catalogue.LANGUAGES
    )


def _say(options: argparse.Namespace, name: str, *, error: bool = False, **values: object) -> None:
    _print(catalogue.text(name, options.lang, **values), error=error)


def _fail(error: Exception) -> None:
    _print(f"{getattr(error, 'code', 'system')}: {error}", error=True)


def _print(value: object, *, error: bool = False) -> None:
    (sys.stderr if error else sys.stdout).write(f"{value}\n")


if __name__ == "__main__":
    sys.exit(main())
