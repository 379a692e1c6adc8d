"""``liuhen-witness`` as it is run: over HTTP, on the command line, and as a single file."""

import base64
import http.client
import json
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from sync.evidence import note
from sync.evidence.cosignature import cosignatures
from sync.evidence.fork import check_fork, parse_fork
from sync.witness.cli import main
from sync.witness.serving import WitnessServer
from sync.witness.witness import Witness
from tests.support.witnessing import SmallLedger

ROOT = Path(__file__).resolve().parents[2]
SERVE = ("--lang", "en", "serve", "--port", "0")
OPENSSL = (
    "openssl pkeyutl -verify -pubin -keyform DER -inkey key.der"
    " -rawin -in message -sigfile signature"
)
VECTORS = json.loads((ROOT / "tests/vectors/submission.json").read_text("utf-8"))


@pytest.fixture
def ledger():
    return SmallLedger("a", "b", "c")


@pytest.fixture
def witness(tmp_path, ledger):
    made = Witness.make(tmp_path / "w", "witness.example/w1")
    made.add_log(ledger.vkey)
    return made


@pytest.fixture
def served(witness):
    with serving(witness) as port:
        yield port


@contextmanager
def serving(witness):
    with WitnessServer(witness, ("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def post(port, body, path="/add-checkpoint"):
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        link.request("POST", path, body)
        answer = link.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read()
    finally:
        link.close()


def test_each_outcome_has_the_status_of_the_specification(served, witness, ledger):
    status, _, line = post(served, ledger.submission(0))
    assert status == 200
    assert cosignatures(note.parse_note(ledger.note() + line.decode()), [witness.key])

    ledger.grow("d", "e")
    other = ledger.fork(1, "B", "C", "D")
    assert post(served, ledger.submission(0)) == (409, "text/x.tlog.size", b"3\n")
    assert post(served, ledger.fork(1, "B", "C").submission(3)) == (
        409,
        "text/x.tlog.size",
        b"3\n",
    )
    assert post(served, other.submission(3))[0] == 422
    assert post(served, SmallLedger("a", seed=12).submission(0))[0] == 403
    assert post(served, SmallLedger("a", origin="who/knows").submission(0))[0] == 404
    assert post(served, b"rubbish")[0] == 400
    assert post(served, ledger.submission(5, 3))[0] == 400
    assert post(served, b"x" * 70_000)[0] == 413
    assert post(served, ledger.submission(3), "/elsewhere")[0] == 404
    assert post(served, ledger.submission(3))[0] == 200


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["name"])
def test_the_vectors_are_answered_as_they_say(tmp_path, case):
    witness = Witness.make(tmp_path / "v", "witness.example/v")
    witness.add_log(VECTORS["key"])
    if case["knows"]:
        witness.add_checkpoint(VECTORS["cases"][0]["body"].encode())
    with serving(witness) as port:
        status, kind, body = post(port, case["body"].encode())

    assert status == case["status"]
    assert (kind, body) == ("text/x.tlog.size", b"3\n") or status != 409


def test_one_connection_carries_many_submissions(served, ledger):
    link = http.client.HTTPConnection("127.0.0.1", served, timeout=10)
    for old in (0, 3, 3):
        link.request("POST", "/add-checkpoint", ledger.submission(old))
        answer = link.getresponse()
        assert (answer.status, bool(answer.read())) == (200, True)
    link.close()


def test_a_body_without_a_length_is_not_waited_for(served):
    link = http.client.HTTPConnection("127.0.0.1", served, timeout=10)
    link.request(
        "POST",
        "/add-checkpoint",
        iter([b"old 0"]),
        encode_chunked=True,
        headers={"Transfer-Encoding": "chunked"},
    )
    assert link.getresponse().status == 411
    link.close()


def test_a_body_that_is_cut_off_changes_nothing(served, witness, ledger):
    link = http.client.HTTPConnection("127.0.0.1", served, timeout=10)
    body = ledger.submission(0)
    link.putrequest("POST", "/add-checkpoint")
    link.putheader("Content-Length", str(len(body) + 1))
    link.endheaders(body)
    link.sock.shutdown(1)
    with pytest.raises(http.client.HTTPException):
        link.getresponse()
    link.close()

    assert witness.logs()[0].endswith(" 0 -")


def test_over_tls_a_stalled_handshake_holds_up_nobody(witness, ledger, tmp_path):
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            key,
            "-out",
            certificate,
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    with WitnessServer(
        witness, ("127.0.0.1", 0), certificate=certificate, certificate_key=key
    ) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        silent = socket.create_connection(("127.0.0.1", server.server_port))
        try:
            context = ssl.create_default_context(cafile=certificate)
            link = http.client.HTTPSConnection(
                "127.0.0.1", server.server_port, timeout=10, context=context
            )
            link.request("POST", "/add-checkpoint", ledger.submission(0))
            assert link.getresponse().status == 200
            link.close()
        finally:
            silent.close()
            server.shutdown()
            thread.join()


def test_whoever_asks_is_told_the_key_and_nothing_else(served, witness):
    link = http.client.HTTPConnection("127.0.0.1", served, timeout=10)
    for path, status, body in (
        ("/", 200, f"{witness.key}\n"),
        ("/add-checkpoint", 405, ""),
        ("/../witness.key", 404, ""),
    ):
        link.request("GET", path)
        answer = link.getresponse()
        assert (answer.status, answer.read().decode()) == (status, body)
    link.close()


def test_a_witness_that_is_killed_remembers_what_it_answered(tmp_path, witness, ledger):
    """The answer went out, so the disk holds it: the next process says the same size."""
    sizes = []
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-m", "sync.witness", "--folder", tmp_path / "w", *SERVE],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            port = int(process.stdout.readline().split(";")[0].rpartition(":")[2])
            status, _, body = post(port, ledger.submission(0))
            sizes.append((status, body if status == 409 else b""))
            assert post(port, ledger.grow("more").submission(len(ledger.entries) - 1))[0] == 200
        finally:
            process.kill()
            process.wait(30)
            process.stdout.close()

    assert sizes == [(200, b""), (409, b"4\n"), (409, b"5\n")]


def test_openssl_verifies_a_cosignature_as_the_documents_tell(tmp_path, witness, ledger):
    line = witness.add_checkpoint(ledger.submission(0))
    data = base64.b64decode(line.split()[-1])
    time_s = int.from_bytes(data[4:12], "big")
    text = note.parse_note(ledger.note()).text
    (tmp_path / "message").write_text(f"cosignature/v1\ntime {time_s}\n{text}", "utf-8")
    (tmp_path / "signature").write_bytes(data[12:])
    # The DER of an Ed25519 public key is these twelve bytes and the key.
    spki = bytes.fromhex("302a300506032b6570032100") + witness.key.public_key
    (tmp_path / "key.der").write_bytes(spki)

    def verify():
        return subprocess.run(
            OPENSSL.split(),
            cwd=tmp_path,
            capture_output=True,
            timeout=60,
        ).returncode

    assert verify() == 0
    (tmp_path / "message").write_text(f"cosignature/v1\ntime {time_s + 1}\n{text}", "utf-8")
    assert verify() != 0


def test_a_witness_without_a_network_signs_a_file(tmp_path, capsys, ledger):
    folder = ["--folder", str(tmp_path / "w"), "--lang", "en"]
    assert main([*folder, "init", "witness.example/usb"]) == 0
    assert main([*folder, "add-log", ledger.vkey]) == 0
    (tmp_path / "today").write_bytes(ledger.submission(0))

    assert main([*folder, "sign", str(tmp_path / "today")]) == 0

    cosigned = (tmp_path / "today.cosigned").read_text("utf-8")
    assert cosignatures(note.parse_note(cosigned), [Witness(tmp_path / "w").key])
    assert cosigned.splitlines()[-1] in capsys.readouterr().out
    assert main([*folder, "sign", str(tmp_path / "today")]) == 1
    assert "export --from 3" in capsys.readouterr().err


def test_a_refused_fork_leaves_a_proof_that_anyone_can_check(tmp_path, capsys, witness, ledger):
    witness.add_checkpoint(ledger.submission(0))
    (tmp_path / "fork").write_bytes(ledger.fork(1, "B", "C").submission(3))
    folder = ["--folder", str(tmp_path / "w"), "--lang", "en"]

    assert main([*folder, "sign", str(tmp_path / "fork")]) == 1
    assert "ALARM" in capsys.readouterr().err
    assert main([*folder, "refused", "--out", str(tmp_path)]) == 0

    (path,) = tmp_path.glob("fork-*.json")
    fork = check_fork(parse_fork(path.read_bytes()), [note.parse_verifier_key(ledger.vkey)])
    assert fork.basis == "roots"


def test_the_single_file_runs_with_nothing_of_the_server(tmp_path, ledger):
    program = tmp_path / "liuhen-witness.pyz"
    subprocess.run(
        [sys.executable, ROOT / "scripts/build_witness.py", program], check=True, timeout=60
    )
    (tmp_path / "today").write_bytes(ledger.submission(0))

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-I", program, "--folder", tmp_path / "w", *arguments],
            cwd=tmp_path,
            check=True,
            capture_output=True,
            timeout=60,
        ).stdout.decode()

    run("init", "witness.example/alone")
    run("add-log", ledger.vkey)
    run("sign", tmp_path / "today")

    assert ledger.vkey in run("logs")
    loaded = subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            "import json, sys; sys.path.insert(0, sys.argv[1]); import sync.witness.cli;"
            "print(json.dumps([sync.__file__, *sys.modules]))",
            program,
        ],
        check=True,
        capture_output=True,
        timeout=60,
    ).stdout
    place, *modules = json.loads(loaded)
    assert place.startswith(str(program))
    assert {"flask", "sqlalchemy", "server", "sync.client", "click"}.isdisjoint(modules)
