"""The field app's storage in real Chromium: what was acknowledged survives whatever happens."""

import random

from tests.browser.conftest import CHROMIUM
from tests.support.fieldphone import kill, phone

KILLS = 20


def test_no_acknowledged_capture_is_lost_or_corrupt_after_twenty_kills(
    playwright, address, tmp_path
):
    moments, acknowledged = random.Random(20), {}
    with phone(playwright, CHROMIUM, tmp_path, address) as page:
        inspection = page.evaluate("harness.settle()")

    for _ in range(KILLS):
        with phone(playwright, CHROMIUM, tmp_path, address) as page:
            page.expose_function("acked", lambda item, digest: acknowledged.update({item: digest}))
            page.evaluate("harness.field.unlock(harness.PIN)")
            before = len(acknowledged)
            page.evaluate(f"void harness.captureForever('{inspection}', 300_000)")
            while len(acknowledged) < before + 2:
                page.wait_for_timeout(10)
            page.wait_for_timeout(moments.uniform(0, 150))
            kill(tmp_path)

    with phone(playwright, CHROMIUM, tmp_path, address) as page:
        page.evaluate("harness.field.unlock(harness.PIN)")
        found = page.evaluate("harness.audit()")
    assert acknowledged.items() <= found["items"].items()
    assert len(acknowledged) >= 2 * KILLS
    assert found["orphans"] == 0


def test_bytes_at_rest_open_with_the_pin_alone(playwright, address, tmp_path):
    with phone(playwright, CHROMIUM, tmp_path, address) as page:
        page.evaluate("harness.settle()")
        page.evaluate("harness.field.changePin(harness.PIN, '135791')")
    with phone(playwright, CHROMIUM, tmp_path, address) as page:
        locked = page.evaluate("harness.outcome(Promise.resolve().then(() => harness.field.key()))")
        wrong = page.evaluate("harness.outcome(harness.field.unlock(harness.PIN))")
        right = page.evaluate("harness.outcome(harness.field.unlock('135791'))")

    assert (locked, wrong, right) == ("vault.locked", "vault.wrong_pin", "")


def test_the_device_key_survives_a_restart_and_cannot_be_read_out(playwright, address, tmp_path):
    with phone(playwright, CHROMIUM, tmp_path, address) as page:
        page.evaluate("harness.settle()")
    with phone(playwright, CHROMIUM, tmp_path, address) as page:
        page.evaluate("harness.field.unlock(harness.PIN)")
        page.evaluate("harness.field.act('note.added', {text: 'after the restart'})")
        found = page.evaluate("harness.audit()")

    assert found["lines"] == 4
