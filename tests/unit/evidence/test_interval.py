import pytest

from sync.evidence.interval import Interval, line_interval

STAMPS = [(2, 200), (5, 500), (9, 900)]


@pytest.mark.parametrize(
    ("anchor_size", "ingest", "expected"),
    [
        pytest.param(None, 3, Interval(None, None, 500, 5), id="no checkpoint was ever seen"),
        pytest.param(2, 3, Interval(None, None, 500, 5), id="a checkpoint before the first stamp"),
        pytest.param(3, 3, Interval(200, 2, 500, 5), id="the stamp is the checkpoint's last leaf"),
        pytest.param(9, 7, Interval(500, 5, 900, 9), id="the newest stamp inside counts"),
        pytest.param(3, 5, Interval(200, 2, 900, 9), id="a stamp must come after the line"),
        pytest.param(3, 9, Interval(200, 2, 990, 9), id="no stamp since: the server's clock then"),
    ],
)
def test_the_interval_of_a_line(anchor_size, ingest, expected):
    interval = line_interval(
        anchor_size=anchor_size, ingest_index=ingest, ingest_at_ms=990, stamps=STAMPS
    )

    assert interval == expected


def test_a_stamp_left_out_only_widens_the_interval():
    whole = line_interval(anchor_size=9, ingest_index=4, ingest_at_ms=400, stamps=STAMPS)

    for missing in STAMPS:
        rest = [stamp for stamp in STAMPS if stamp != missing]
        interval = line_interval(anchor_size=9, ingest_index=4, ingest_at_ms=400, stamps=rest)
        assert (interval.not_before_ms or 0) <= whole.not_before_ms
        assert interval.not_after_ms >= whole.not_after_ms or rest[-1][0] < 4
