"""Real and hostile files, where a folder of samples is at hand; they are no part of the project.

``LIUHEN_SAMPLES`` names the folder, else ``../shared/data/exif-samples`` is looked for.
It holds ``truth.json``, what ExifTool reads, and ``hostile.json``.
"""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from media.facts import read_facts
from media.inspect import describe
from media.source import FileSource

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = Path(os.environ.get("LIUHEN_SAMPLES", ROOT.parent / "shared" / "data" / "exif-samples"))

FIELDS = {
    "type": "type",
    "make": "make",
    "model": "model",
    "software": "software",
    "datetime_original": "datetime_original",
    "subsec_original": "subsec_original",
    "offset_original": "offset_original",
    "datetime_digitized": "datetime_digitized",
    "datetime_modified": "datetime_modify",
    "gps_utc": "gps_utc",
    "lat": "gps_lat",
    "lon": "gps_lon",
    "av_created": "av_created_utc_naive",
    "av_lat": "av_lat",
    "av_lon": "av_lon",
}

#: Where we differ on purpose, by file (the first eight digits of its digest).
ON_PURPOSE = {
    # Degrees written as text, "52,00000,50,…": ExifTool takes the first three numbers, which
    # puts the place 100 km away. We keep the raw text and claim no position.
    "090a3789": {"lat", "lon"},
    # A multi-picture file with one picture: ExifTool goes by the name .mpo, we by the content.
    "52e73580": {"type"},
    # Cut off right behind the metadata: ExifTool drops it, we keep it and name the fault.
    "0a5a7692": set(FIELDS),
    "faeaab4f": set(FIELDS),
    "29d69583": {"av_created"},
    "d0fcb20d": {"av_created"},
}


def listed(name: str) -> dict[str, dict[str, Any]]:
    path = SAMPLES / name
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


TRUTH = listed("truth.json")
HOSTILE = listed("hostile.json")

if TRUTH:

    @pytest.mark.parametrize("name", sorted(TRUTH))
    def test_we_read_what_exiftool_reads(name):
        truth = TRUTH[name]

        ours = describe(SAMPLES / name)

        assert ours["sha256"] == truth["sha256"]
        allowed = ON_PURPOSE.get(Path(name).name[:8], set())
        for field, key in FIELDS.items():
            if field in allowed:
                continue
            if isinstance(truth[key], float):
                assert ours[field] == pytest.approx(truth[key], abs=2e-6), field
            else:
                assert ours[field] == truth[key], field

    def test_a_cut_file_keeps_its_values_and_names_the_fault():
        for digits in ("0a5a7692", "faeaab4f", "29d69583", "d0fcb20d"):
            [name] = [name for name in TRUTH if Path(name).name.startswith(digits)]
            ours = describe(SAMPLES / name)

            assert ours["error"].startswith("media.truncated")
            assert ours["datetime_original"] or ours["av_created"]

    def test_most_jpegs_are_read_from_their_first_64_kilobytes():
        read = []
        for name in TRUTH:
            if TRUTH[name]["type"] == "JPEG":
                with FileSource(SAMPLES / name) as source:
                    read.append(read_facts(source).bytes_read)

        assert sum(n <= 64 * 1024 for n in read) >= 0.85 * len(read)


if HOSTILE:

    @pytest.mark.parametrize("name", sorted(HOSTILE))
    def test_a_hostile_file_ends_within_a_second_with_an_answer(name):
        began = time.process_time()

        ours = describe(SAMPLES / name)

        assert time.process_time() - began < 1
        assert ours["sha256"] == HOSTILE[name]["sha256"]

    def test_all_hostile_files_together_stay_within_64_megabytes():
        def bounded() -> None:
            """The interpreter and our modules need some 40 MB of their own."""
            resource.setrlimit(resource.RLIMIT_AS, (160 * 2**20, 160 * 2**20))

        program = (
            "import sys, resource\n"
            "from media.inspect import describe\n"
            "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
            "for path in sys.argv[1:]: describe(path)\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
        )
        paths = [str(SAMPLES / name) for name in HOSTILE]

        done = subprocess.run(
            [sys.executable, "-c", program, *paths],
            capture_output=True,
            check=True,
            cwd=ROOT,
            preexec_fn=bounded,
        )

        assert int(done.stdout) * 1024 <= 64 * 2**20
