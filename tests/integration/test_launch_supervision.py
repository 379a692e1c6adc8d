"""Whatever ends the launcher, nothing that it started is left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
# Writes its pid and that of a grandchild that would run for a minute.
_FAMILY = (
    "exec {python} -c '"
    "import os,signal,subprocess,sys,time\n"
    "from server.launch.lifetime import end_with_parent\n"
    "end_with_parent(signal.SIGTERM)\n"
    'p=subprocess.Popen(["sleep","60"],preexec_fn=lambda:end_with_parent(signal.SIGKILL))\n'
    'open("{pids}","a").write(str(os.getpid())+" "+str(p.pid)+" ")\n'
    'print("up",flush=True)\n'
    "time.sleep(60)'"
)


@pytest.fixture
def launch(tmp_path):
    """Starts the supervision with commands by name; ``{pids}`` in them is our list of pids."""
    running = []

    def start(**commands):
        named = {name.replace("_", "-"): command for name, command in commands.items()}
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.supervised", json.dumps(named)],
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()


@pytest.fixture
def family(tmp_path):
    return _FAMILY.format(python=sys.executable, pids=tmp_path / "pids")


@pytest.fixture
def everyone(tmp_path):
    """The pids of all families once ``count`` of them are up."""

    def pids(count):
        path = tmp_path / "pids"
        wait_until(lambda: path.exists() and len(path.read_text().split()) == 2 * count)
        return [int(pid) for pid in path.read_text().split()]

    return pids


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_that_was_asked_for_ends_children_and_grandchildren(
    launch, family, everyone, signum
):
    launcher = launch(web=family, worker=family)
    pids = everyone(2)

    launcher.send_signal(signum)
    output, _ = launcher.communicate(timeout=20)

    assert output.splitlines()[-1] == "null"
    wait_until(lambda: not any(alive(pid) for pid in pids))


def test_a_child_that_ends_by_itself_stops_the_others_and_is_named(launch, family, everyone):
    launcher = launch(web=family, worker=family, sequencer="sleep 2; exit 3")
    pids = everyone(2)

    output, _ = launcher.communicate(timeout=20)

    assert json.loads(output.splitlines()[-1]) == ["sequencer", 3]
    wait_until(lambda: not any(alive(pid) for pid in pids))


def test_a_child_that_refuses_to_end_is_killed(launch, family, everyone):
    stubborn = "trap '' TERM INT; while :; do sleep 1; done"
    launcher = launch(web=family, stubborn=stubborn)
    pids = everyone(1)

    launcher.terminate()
    output, _ = launcher.communicate(timeout=20)

    assert output.splitlines()[-1] == "null"
    wait_until(lambda: not any(alive(pid) for pid in pids))


def test_killing_the_launcher_outright_takes_everything_with_it(launch, family, everyone):
    launcher = launch(web=family, worker=family)
    pids = everyone(2)

    os.kill(launcher.pid, signal.SIGKILL)

    wait_until(lambda: not any(alive(pid) for pid in pids))


def test_a_signal_during_the_start_is_not_lost(launch, family):
    launcher = launch(web=family, worker=family)
    time.sleep(0.3)

    launcher.terminate()

    launcher.communicate(timeout=20)
    assert launcher.returncode in (0, -signal.SIGTERM)


def test_what_the_processes_say_is_passed_on_with_their_names(launch, everyone):
    launcher = launch(web="echo 留痕; sleep 1; exit 4")

    output, _ = launcher.communicate(timeout=20)

    assert any(line.startswith("web") and line.endswith("| 留痕") for line in output.splitlines())
