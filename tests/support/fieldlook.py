"""What is amiss with a page of the field app as it is shown, for eyes, gloves and readers."""

from axe_playwright_python.sync_playwright import Axe


def violations(page):
    """What axe finds, each with the places where."""
    found = Axe().run(page).response["violations"]
    return [(one["id"], [node["target"] for node in one["nodes"]]) for one in found]


def overflow(page):
    """By how many pixels the page is wider than the screen."""
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")


def small_targets(page):
    """Buttons, links and inputs that a glove would miss."""
    return page.evaluate(
        """[...document.querySelectorAll("button, a, summary, input, select")]
            .map((one) => one.closest("label.tick") ?? one)
            .filter((one) => one.checkVisibility())
            .map((one) => [one.outerHTML.slice(0, 80), one.getBoundingClientRect()])
            .filter(([, box]) => box.height < 44 || box.width < 44)
            .map(([html]) => html)"""
    )
