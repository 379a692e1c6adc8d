"""Real witnesses beside a real server: each with its folder, some of them on a port."""

import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from server.db import reading
from server.operations import witnessing
from server.settings import Settings
from sync.witness.serving import WitnessServer
from sync.witness.witness import Witness
from tests.support.bureau import environment
from tests.support.world import World


@dataclass
class Stand:
    """A witness as it stands somewhere; ``url`` is empty where it has no network."""

    witness: Witness
    url: str = ""


@contextmanager
def serving(witness):
    """``witness`` on a port of this machine; its URL."""
    with WitnessServer(witness, ("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class WitnessedWorld(World):
    """A world whose ledger is shown to ``stands``."""

    def round(self):
        """What the worker does each minute."""
        with self.app.app_context():
            witnessing.submit_to_witnesses(self.services)

    def exposure(self):
        with self.app.app_context(), reading() as session:
            return witnessing.exposure(session, self.settings.witness_policy)

    def watched_by(self, *witnesses):
        for witness in witnesses:
            witness.add_log(self.services.ledger_signer.verifier_key)


def policy_of(stands, quorum):
    """A policy file that asks for ``quorum`` of ``stands``."""
    rows = [
        f"witness w{number} {stand.witness.key} {stand.url}"
        for number, stand in enumerate(stands, start=1)
    ]
    names = " ".join(f"w{number}" for number in range(1, len(stands) + 1))
    return "\n".join([*rows, f"group all-of-them {quorum} {names}", "quorum all-of-them", ""])


@contextmanager
def witnessed_world(database_url, folder: Path, *, online=1, offline=0, quorum=1, store=None):
    """A world and its witnesses, all of which watch its ledger."""
    with ExitStack() as stack:
        stands = []
        for number in range(online + offline):
            witness = Witness.make(folder / f"w{number}", f"witness.example/w{number + 1}")
            url = stack.enter_context(serving(witness)) if number < online else ""
            stands.append(Stand(witness, url))
        policy = folder / "witness.policy"
        policy.write_text(policy_of(stands, quorum))
        settings = Settings.from_env(
            environment(
                folder / "var",
                None,
                LIUHEN_DATABASE_URL=database_url,
                LIUHEN_WITNESS_POLICY=str(policy),
            )
        )
        world = WitnessedWorld(settings, store=store)
        world.stands = stands
        world.watched_by(*(stand.witness for stand in stands))
        world.policy = policy
        yield world
