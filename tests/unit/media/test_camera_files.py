"""Files as cameras wrote them raise no doubt, where a folder of samples is at hand.

``LIUHEN_SAMPLES`` names the folder, else ``../shared/data/exif-samples`` is looked for.
"""

import json

from bench import scenarios
from media.findings.model import INFO
from media.second import SecondReader
from tests.unit.media.test_media_samples import SAMPLES, TRUTH

ORIGINALS = {n: known for n, known in TRUTH.items() if known["source"].endswith("digicam_corpus")}

if ORIGINALS:

    def test_camera_originals_raise_no_doubt():
        with SecondReader() as second:
            for name, known in ORIGINALS.items():
                found = scenarios.judge(SAMPLES / name, known, second)

                assert {one.code for one in found if one.severity != INFO} == set(), name


def test_a_thousand_scenarios_are_judged_as_expected():
    result = scenarios.run(["--count", "1000", "--seed", "20"])

    assert (result["count"], result["as_expected"]) == (1000, 1000), json.dumps(result)
