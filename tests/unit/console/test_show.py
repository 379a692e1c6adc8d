"""How values read on a page."""

import pytest

from server.console import show

MORNING_MS = 1_777_856_400_000


def test_times_are_shown_in_beijing_time_to_the_second():
    assert show.at(MORNING_MS) == "2026-05-04 09:00:00"
    assert show.time(MORNING_MS) == (
        '<time datetime="2026-05-04T01:00:00.000+00:00">2026-05-04 09:00:00</time>'
    )


def test_an_interval_of_one_second_is_one_time():
    assert show.span(MORNING_MS, MORNING_MS + 400) == "2026-05-04 09:00:00"
    assert show.span(MORNING_MS, MORNING_MS + 5000) == "2026-05-04 09:00:00 – 09:00:05"


@pytest.mark.parametrize(
    ("difference_ms", "shown"),
    [
        (400, "+0.4 s"),
        (-49, "+0.0 s"),
        (-123_000, "−2 min 03 s"),
        (8 * 3_600_000, "+8 h 00 min"),
        (-2 * 86_400_000 - 3_600_000, "−2 d 1 h"),
    ],
)
def test_differences_keep_their_sign_and_two_units(difference_ms, shown):
    assert show.difference(difference_ms) == shown


def test_sizes_are_given_in_the_largest_unit():
    assert [show.size(n) for n in (0, 1023, 1024, 5 << 20)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "5.0 MiB",
    ]


def test_a_digest_can_break_but_copies_as_one_word():
    html = str(show.digest("ab" * 32))

    assert html.count("<wbr>") == 7
    assert html.replace("<wbr>", "") == f'<code class="digest">{"ab" * 32}</code>'


def test_a_word_that_is_not_known_yet_is_shown_as_it_came():
    assert show.word("act", "party.signed_by_drone", "zh") == "party.signed_by_drone"
    assert show.word("act", "media.captured", "zh") == "拍摄"
