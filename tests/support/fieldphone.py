"""A phone: real Chromium with a profile of its own, which can be killed and opened again."""

import signal
from contextlib import contextmanager
from pathlib import Path

import psutil

ARGUMENTS = (
    # Tests may run as root in a container, where Chromium's own sandbox cannot start.
    "--no-sandbox",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--disable-gpu",
)
HARNESS = "/app/test/harness.html"


@contextmanager
def phone(playwright, chromium: str, profile: Path, address: str, page: str = HARNESS):
    """The app's page in the profile; at the end the browser is closed, if it still lives."""
    context = playwright.chromium.launch_persistent_context(
        str(profile),
        executable_path=chromium,
        args=list(ARGUMENTS),
        timezone_id="Asia/Shanghai",
        permissions=["geolocation", "camera"],
        geolocation={"latitude": 22.5431, "longitude": 114.0579, "accuracy": 12},
    )
    try:
        opened = context.pages[0] if context.pages else context.new_page()
        opened.goto(f"{address}{page}")
        if page == HARNESS:
            until(opened, "document.title === 'ready'")
        yield opened
    finally:
        if processes_of(profile):
            context.close()


def until(page, condition: str) -> None:
    """Wait until ``condition``, an expression of the page's, is true.

    Playwright's own ``wait_for_function`` evaluates text in the page each time that it looks
    again, which the app's policy for scripts forbids.
    """
    page.evaluate(
        f"async () => {{ while (!({condition})) await new Promise((r) => setTimeout(r, 20)); }}"
    )


def processes_of(profile: Path) -> list[psutil.Process]:
    """Every process of the browser that has ``profile`` open."""
    mark = f"--user-data-dir={profile}"
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if mark in (process.info["cmdline"] or []):
            found.append(process)
            found.extend(process.children(recursive=True))
    return found


def kill(profile: Path) -> None:
    """SIGKILL to the whole browser, as when the system needs the memory."""
    processes = processes_of(profile)
    for process in processes:
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=10)


def begin(page, world):
    """Enrol the phone, set its PIN, log in and open an inspection; answers the inspection's id."""
    code, (first, second) = world.code(), world.officers
    page.evaluate("code => harness.field.enrol(code, {name: '手机一'})", code)
    page.evaluate("harness.field.setPin(harness.PIN, 1000)")
    for officer, number in ((first, "示例001"), (second, "示例002")):
        page.evaluate("([o, n]) => harness.field.logIn(o, n)", [officer, number])
    return page.evaluate(
        "given => harness.field.openInspection(given)",
        {"officer": first, "officers": [first, second], "task": world.task, "title": "日常检查"},
    )


def sync(page):
    """One sync; problems and stuck lines are plain values."""
    return page.evaluate(
        """async () => {
            const report = await harness.field.sync();
            const problems = report.problems.map((one) => `${one.message} ${one.status}`);
            return {...report, problems};
        }"""
    )


def keep_photos(page, world, inspection, sizes):
    """Photos of the system's camera, of so many bytes each."""
    page.evaluate(
        """async ([officer, inspection, sizes]) => {
            for (const size of sizes)
                await harness.field.capture({officer, inspection, bytes: harness.noise(size),
                    mediaType: "image/jpeg", captureClass: "B"});
        }""",
        [world.officers[0], inspection, sizes],
    )
