"""Attempts to hide, forge, reorder or leave out something, each of which must be named."""

import io
import json
import random
import zipfile

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench import tamper
from bench.tamper import files_named, owners_of, places
from sync.evidence import acts, bag, canonical, note, package
from sync.evidence.package import PackageFile
from sync.evidence.verifier import Options, verify, verify_package
from sync.evidence.verifier_bag import check_bag, check_container
from sync.evidence.verifier_claims import Book, Verdict
from sync.evidence.verifier_source import PackageUnusable, measure, open_source
from tests.support.small_package import (
    INSPECTION,
    ORIGIN,
    NoteKey,
    build_package_of,
    build_small_package,
    build_tiny_package,
)


@pytest.fixture(scope="module")
def small():
    return build_small_package()


@pytest.fixture(scope="module")
def tiny():
    return build_tiny_package()


@pytest.fixture
def check(tmp_path):
    """Verify ZIP bytes."""

    def run(data, **options):
        path = tmp_path / "case.zip"
        path.write_bytes(data)
        return verify_package(str(path), Options(**options))

    return run


def failures(result):
    return [claim for claim in result.claims if claim.verdict is Verdict.FAIL]


def codes(result, verdict=Verdict.FAIL):
    return {claim.code for claim in result.claims if claim.verdict is verdict}


def with_lines(small, path, change):
    lines = small.files[path].splitlines(keepends=True)
    return {**small.files, path: b"".join(change(lines))}


def with_json(small, path, change):
    value = json.loads(small.files[path])
    change(value)
    return {**small.files, path: canonical.dumps(value)}


def journal_lines(small):
    for device in small.devices:
        path = package.journal_path(device.chain)
        for seq in range(len(device.lines)):
            yield path, device, seq


def test_a_genuine_package_passes_and_says_what_was_not_checked(small, check):
    result = check(small.pack())

    assert result.verdict is Verdict.PASS
    assert codes(result, Verdict.NOT_CHECKED) == {
        "trust.key_as_enclosed",
        "case.missing",
        "case.findings_not_recomputed",
        "journal.withheld",
        "time.bureau_clock",
        "outside.no_sidecar",
        "outside.time_stamps",
        "outside.witnesses",
    }


@pytest.mark.parametrize("options", [{"pure": True}, {"pure": True, "all_signatures": True}, {}])
def test_it_passes_with_our_own_arithmetic_and_with_the_library(small, check, options):
    result = check(small.pack(), **options)

    assert result.verdict is Verdict.PASS
    every = options.get("all_signatures") or not options
    wanted = "journal.signatures_all" if every else "journal.signatures_heads"
    assert wanted in codes(result, Verdict.PASS)


def test_an_unpacked_package_passes_but_its_container_is_not_checked(small, tmp_path):
    with zipfile.ZipFile(io.BytesIO(small.pack())) as archive:
        archive.extractall(tmp_path / "case")

    result = verify_package(str(tmp_path / "case"))

    assert result.verdict is Verdict.PASS
    assert "container.folder" in codes(result, Verdict.NOT_CHECKED)


def test_a_package_zipped_again_fails_for_its_container_alone(small, check):
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(small.pack())) as archive,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as again,
    ):
        for name in archive.namelist():
            again.writestr(name, archive.read(name))

    result = check(buffer.getvalue())

    assert {claim.step for claim in failures(result)} == {"container"}
    assert "container.foreign" in codes(result)
    assert {"case.complete", "journal.complete"} <= codes(result, Verdict.PASS)


def test_a_changed_byte_anywhere_fails_and_its_file_is_named(tiny, tmp_path):
    """Every eleventh byte; container and bag alone must find it, whatever else would too."""
    data, path = tiny.pack(), tmp_path / "case.zip"
    owners = owners_of(data)
    chance = random.Random(3)

    for place in range(chance.randrange(11), len(data), 11):
        flipped = bytearray(data)
        flipped[place] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        container, files = Book("container"), Book("bag")
        source = open_source(str(path))
        measured = measure(source)
        check_container(container, source, measured)
        check_bag(files, source, measured)
        named = {
            claim.values.get("file")
            for claim in [*container.claims, *files.claims]
            if claim.verdict is Verdict.FAIL
        }
        assert owners[place] in named, place


def test_a_changed_byte_fails_the_whole_verification(small, check):
    data = small.pack()
    owners = owners_of(data)
    chance = random.Random(5)

    for place in chance.sample(range(len(data)), 30):
        flipped = bytearray(data)
        flipped[place] ^= 1 << chance.randrange(8)
        result = check(bytes(flipped))
        assert result.verdict is Verdict.FAIL
        assert owners[place] in files_named(result), place


def test_random_bits_lines_and_items_of_a_larger_package_are_named(tmp_path):
    """A small share of what ``scripts/bench tamper`` tries."""
    large, chance = build_package_of(24), random.Random(11)
    attempts = [
        *tamper.random_bits(large, 25, chance),
        *list(tamper.lines_touched(large))[::5],
        *list(tamper.items_left_out(large))[::6],
    ]

    assert tamper.search(tmp_path / "case.zip", attempts) == (len(attempts), [])


def test_a_changed_byte_of_an_unpacked_file_fails_and_names_it(small, tmp_path):
    folder = tmp_path / "case"
    with zipfile.ZipFile(io.BytesIO(small.pack())) as archive:
        archive.extractall(folder)
        names = archive.namelist()
    chance = random.Random(9)

    for name in names:
        genuine = (folder / name).read_bytes()
        for _ in range(2):
            flipped = bytearray(genuine)
            flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
            (folder / name).write_bytes(flipped)
            assert name in files_named(verify_package(str(folder))), name
        (folder / name).write_bytes(genuine)


def test_each_journal_line_removed_is_named_even_with_mended_manifests(small, check):
    for path, device, seq in journal_lines(small):
        files = with_lines(small, path, lambda lines, seq=seq: lines[:seq] + lines[seq + 1 :])

        for data in (small.pack(files), small.pack_signed(files)):
            assert (device.id, device.epoch, seq) in places(check(data))


def test_each_journal_line_doubled_is_named_even_with_mended_manifests(small, check):
    for path, device, seq in journal_lines(small):
        for place in (seq, -1):
            files = with_lines(
                small,
                path,
                lambda lines, seq=seq, place=place: (
                    [*lines[:place], lines[seq], *lines[place:]]
                    if place >= 0
                    else [*lines, lines[seq]]
                ),
            )
            assert places(check(small.pack(files))) == {(device.id, device.epoch, seq)}


def test_each_pair_of_journal_lines_swapped_is_named(small, check):
    for path, device, seq in journal_lines(small):
        if seq:
            files = with_lines(
                small,
                path,
                lambda lines, seq=seq: [
                    *lines[: seq - 1],
                    lines[seq],
                    lines[seq - 1],
                    *lines[seq + 1 :],
                ],
            )
            assert places(check(small.pack(files))) == {
                (device.id, device.epoch, seq),
                (device.id, device.epoch, seq - 1),
            }


def test_journals_cut_short_are_named_even_if_index_and_proofs_are_cut_alike(small, check):
    """The forger has no key: the statement over the bag gives the cut away as well."""
    device = small.devices[0]
    path = package.journal_path(device.chain)
    last = len(device.lines) - 1

    def shorten(index):
        index["chains"][0].update(next_seq=last, head=device.lines[last - 1].digest)

    files = {
        **with_json(small, package.INDEX, shorten),
        path: b"".join(small.files[path].splitlines(keepends=True)[:-1]),
    }
    hidden = device.ingests[last]
    for proof in (package.CUSTODY, package.INCLUSION):
        rows = small.files[proof].splitlines(keepends=True)
        files[proof] = b"".join(rows[:hidden] + rows[hidden + 1 :])

    result = check(small.pack(files))

    assert "trust.statement" in codes(result)
    assert (device.id, device.epoch, last) in places(result)


def test_a_whole_journal_left_out_is_named(small, check):
    device = small.devices[1]
    files = dict(small.files)
    del files[package.journal_path(device.chain)]

    result = check(small.pack_signed(files))

    assert {"journal.chain_missing", "journal.taken_in_but_missing"} <= codes(result)
    assert all((device.id, device.epoch, seq) in places(result) for seq in (0, 1))


def test_a_line_of_another_journal_put_in_is_named(small, check):
    first, second = (package.journal_path(device.chain) for device in small.devices)
    foreign = small.files[second].splitlines(keepends=True)[1]

    result = check(small.pack_signed(with_lines(small, first, lambda lines: [*lines, foreign])))

    assert codes(result) == {"journal.elsewhere"}


def test_a_line_forged_without_the_devices_key_is_named(small, check):
    """Signature kept, text changed, every digest after it recomputed: only the key is missing."""
    device = small.devices[1]
    path = package.journal_path(device.chain)
    genuine = json.loads(small.files[path].splitlines()[-1])
    genuine["b"]["0"]["sha256"] = "f" * 64
    genuine["e"]["parts"][0] = PackageFile.of("x", canonical.dumps(genuine["b"]["0"])).sha256

    def forge(lines):
        return [*lines[:-1], canonical.dumps(genuine) + b"\n"]

    result = check(small.pack_signed(with_lines(small, path, forge)))

    place = (device.id, device.epoch, len(device.lines) - 1)
    assert {"journal.bad_signature", "journal.changed_since"} <= codes(result)
    assert place in places(result)


def test_an_act_rewritten_in_place_is_named(small, check):
    path, device, seq = next(journal_lines(small))

    def rewrite(lines):
        return [lines[0].replace(b'"reason":"new"', b'"reason":"old"'), *lines[1:]]

    result = check(small.pack_signed(with_lines(small, path, rewrite)))

    assert (device.id, device.epoch, seq) in places(result)
    assert "journal.unreadable" in codes(result)


def test_each_item_left_out_of_the_index_is_named(small, check):
    for item in small.index.items:

        def leave_out(index, item=item):
            index["items"] = [i for i in index["items"] if i["item"] != item.item]
            index["announced"] = sorted({i["sha256"] for i in index["items"]})

        result = check(small.pack_signed(with_json(small, package.INDEX, leave_out)))

        left_out = [claim for claim in failures(result) if claim.code == "case.item_left_out"]
        assert {claim.values["item"] for claim in left_out} == {item.item}
        assert (item.line.chain.device, item.line.chain.epoch, item.line.seq) in places(result)


def test_a_line_withheld_to_hide_its_item_is_found_by_the_seal(small, check):
    device, item = small.devices[0], small.index.items[0]
    path = package.journal_path(device.chain)

    def withhold(lines):
        hidden = device.lines[item.line.seq].to_package_bytes([]) + b"\n"
        return [*lines[: item.line.seq], hidden, *lines[item.line.seq + 1 :]]

    def leave_out(index):
        index["items"] = index["items"][1:]
        index["announced"] = sorted({i["sha256"] for i in index["items"]})

    files = {
        **with_json(small, package.INDEX, leave_out),
        path: with_lines(small, path, withhold)[path],
    }
    del files[item.file]

    result = check(small.pack_signed(files))

    assert "case.sealed_left_out" in codes(result)


def test_an_item_that_no_line_announced_is_named(small, check):
    def invent(index):
        index["items"].append({**index["items"][0], "item": "invented"})

    result = check(small.pack_signed(with_json(small, package.INDEX, invent)))

    assert "case.item_without_line" in codes(result)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"sha256": "0" * 64}, "case.item_differs"),
        ({"size": 1}, "case.item_differs"),
        ({"file": "data/original/" + "0" * 64 + ".jpg"}, "case.original_missing"),
        ({"interval": {"not_after_ms": 5, "not_after_index": 1}}, "time.interval_differs"),
    ],
)
def test_an_item_told_otherwise_than_proved_is_named(small, check, change, code):
    def alter(index):
        index["items"][0].update(change)

    assert code in codes(check(small.pack_signed(with_json(small, package.INDEX, alter))))


def test_a_discard_that_the_index_hides_is_named(small, check):
    def hide(index):
        del index["items"][1]["discarded"]

    result = check(small.pack_signed(with_json(small, package.INDEX, hide)))

    assert codes(result) == {"case.discard_hidden"}


def test_a_discard_that_no_line_made_is_named(small, check):
    def invent(index):
        index["items"][0]["discarded"] = index["items"][0]["line"]

    result = check(small.pack_signed(with_json(small, package.INDEX, invent)))

    assert codes(result) == {"case.discard_without_line"}


def test_an_original_replaced_with_mended_manifests_is_named(small, check):
    path = small.index.items[0].file

    result = check(small.pack_signed({**small.files, path: b"another photo"}))

    assert codes(result) == {"case.original_altered"}
    assert files_named(result) == {path}


def test_an_original_left_out_or_put_in_is_named(small, check):
    path = small.index.items[0].file
    extra = "data/original/" + "a" * 64 + ".jpg"
    files = {name: data for name, data in small.files.items() if name != path}

    result = check(small.pack_signed({**files, extra: b"more"}))

    assert codes(result) == {"case.original_missing", "case.original_unlisted"}
    assert files_named(result) == {path, extra}


def test_a_custody_event_rewritten_is_named(small, check):
    def rewrite(lines):
        return [line.replace(b'"accepted"', b'"rejected"') for line in lines]

    result = check(small.pack_signed(with_lines(small, package.CUSTODY, rewrite)))

    altered = [claim.values["index"] for claim in failures(result)]
    assert codes(result) == {"ledger.altered"}
    assert altered == [small.size - 1]


def test_an_event_with_its_leaf_rewritten_is_not_included(small, check):
    files = with_lines(
        small,
        package.CUSTODY,
        lambda lines: [line.replace(b'"accepted"', b'"rejected"') for line in lines],
    )
    rows = [json.loads(row) for row in files[package.INCLUSION].splitlines()]
    event = json.loads(files[package.CUSTODY].splitlines()[-1])
    salted = bytes.fromhex(event["salt"]) + canonical.dumps(event["event"])
    rows[-1]["leaf"] = PackageFile.of("x", salted).sha256
    files[package.INCLUSION] = b"".join(canonical.dumps(row) + b"\n" for row in rows)

    result = check(small.pack_signed(files))

    assert "ledger.not_included" in codes(result)


def test_a_checkpoint_of_another_key_is_refused(small, check):
    forged = NoteKey(ORIGIN + "/forged")
    text, _ = note.open_note(
        small.files[package.CHECKPOINT].decode(),
        [note.parse_verifier_key(small.ledger.key.verifier_key)],
    )

    result = check(small.pack({**small.files, package.CHECKPOINT: forged.sign(text).encode()}))

    assert package.CHECKPOINT in files_named(result)
    assert "ledger.no_checkpoint" in codes(result, Verdict.NOT_CHECKED)


def test_everything_signed_anew_with_another_ledger_key_fails_against_the_key_from_outside(
    small, check
):
    outside = (note.parse_verifier_key(small.ledger.key.verifier_key),)
    forged = NoteKey(ORIGIN)
    forged.private = Ed25519PrivateKey.generate()
    forged.public = forged.private.public_key().public_bytes_raw()
    text, _ = note.open_note(small.files[package.CHECKPOINT].decode(), outside)
    files = with_json(small, package.KEYS, lambda keys: keys.update(ledger=forged.verifier_key)) | {
        package.CHECKPOINT: forged.sign(text).encode()
    }

    assert "trust.key_known" in codes(check(small.pack(), ledger_keys=outside), Verdict.PASS)
    result = check(small.pack(files, sign=forged.sign), ledger_keys=outside)

    assert "trust.key_unknown" in codes(result)
    assert {package.KEYS, package.CHECKPOINT, package.STATEMENT} <= files_named(result)


def test_a_device_key_that_was_never_enrolled_is_named(small, check):
    def swap(keys):
        keys["devices"][0]["enrolled_index"] = keys["devices"][1]["enrolled_index"]

    result = check(small.pack_signed(with_json(small, package.KEYS, swap)))

    assert codes(result) == {"journal.key_not_enrolled"}


def test_a_history_that_a_device_had_seen_otherwise_is_named(small, check):
    files = with_lines(small, package.CONSISTENCY, lambda lines: lines[:1])

    assert codes(check(small.pack_signed(files))) == {
        "journal.anchor_unproved",
        "time.interval_differs",
    }


def test_a_fork_of_the_device_is_reported_and_proves_no_order(check):
    tiny = build_tiny_package(after_push=lambda device: device.fork("note.added", text="other"))

    result = check(tiny.pack())

    assert result.verdict is Verdict.PASS
    [fork] = [claim for claim in result.claims if claim.code == "journal.forked"]
    assert (fork.verdict, fork.values["seq"]) == (Verdict.NOT_CHECKED, 1)


def test_a_branch_that_begins_elsewhere_than_its_name_says_is_named(check):
    tiny = build_tiny_package(after_push=lambda device: device.fork("note.added", text="other"))
    [path] = [name for name in tiny.files if name.endswith(".ndjson") and name.count(".") == 2]
    files = {**tiny.files, path.replace(path.split(".")[1], "0" * 64): tiny.files[path]}
    del files[path]

    result = check(tiny.pack_signed(files))

    assert {"journal.branch_name", "journal.chain_missing"} <= codes(result)


def test_lines_that_came_in_after_the_key_was_revoked_are_reported(check):
    result = check(build_tiny_package(before_push=lambda device: device.revoke()).pack())

    late = [claim for claim in result.claims if claim.code == "journal.after_revocation"]
    assert result.verdict is Verdict.PASS
    assert [claim.values["seq"] for claim in late] == [0, 1]


@pytest.mark.parametrize(
    ("seq", "code"), [(0, "case.peer_differs"), (999, "case.peer_beyond")], ids=["other", "later"]
)
def test_a_journal_that_another_device_had_noted_otherwise_is_a_doubt(check, seq, code):
    peer = build_small_package().devices[1]
    more = ("peer.head", {"device": peer.id, "epoch": peer.epoch, "seq": seq, "head": "0" * 64})

    result = check(build_small_package(more_acts=[more]).pack())

    assert result.verdict is Verdict.PASS
    assert code in codes(result, Verdict.NOT_CHECKED)


def test_an_epoch_before_that_is_not_enclosed_is_reported(check):
    small = build_small_package()
    before = {"epoch": "f" * 32, "seq": 4, "head": "0" * 64}
    device = small.devices[0]
    opening = device.build([], "epoch.opened", None, {**device.lines[0].act, "before": before})
    result = check(
        small.pack_signed(
            with_lines(
                small,
                package.journal_path(device.chain),
                lambda lines: [opening.to_package_bytes([0]) + b"\n", *lines[1:]],
            )
        )
    )

    assert "journal.epoch_before_absent" in codes(result, Verdict.NOT_CHECKED)
    assert {"journal.unlinked", "journal.changed_since"} <= codes(result)


def test_a_receipt_changed_is_named(small, check):
    files = with_lines(
        small,
        package.RECEIPTS,
        lambda lines: [lines[0].replace(b"last_seq 0", b"last_seq 1"), *lines[1:]],
    )

    result = check(small.pack_signed(files))

    assert codes(result) == {"receipts.bad"}
    assert files_named(result) == {package.RECEIPTS}


def test_a_reviewer_who_investigated_is_named(check):
    result = check(build_small_package(reviewer="person-1").pack())

    assert codes(result) == {"duties.own_case"}


@pytest.mark.parametrize("name", [*package.REQUIRED])
def test_a_required_file_left_out_is_named(small, check, name):
    packed = [
        PackageFile.of(file.path, b"".join(file.chunks()))
        for file in package.assemble(
            [PackageFile.of(path, data) for path, data in small.files.items()],
            info=[],
            origin=ORIGIN,
            ledger_size=small.size,
            sign=small.ledger.key.sign,
        )
        if file.path != name
    ]

    result = check(b"".join(package.write_package(packed)))

    assert name in files_named(result)


def test_a_file_put_beside_the_bag_is_named(small, check):
    result = check(small.pack_signed({**small.files, "data/extra.txt": b"?"}))
    assert result.verdict is Verdict.PASS  # listed in the manifests: part of the bag

    buffer = io.BytesIO(small.pack())
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("data/smuggled.txt", b"?")
    result = check(buffer.getvalue())

    assert "data/smuggled.txt" in files_named(result)


def test_the_signature_beside_the_zip_is_checked(small, tmp_path):
    path = tmp_path / "case.zip"
    path.write_bytes(small.pack())
    sidecar = tmp_path / "case.zip.sig"
    file = PackageFile.of("x", small.pack())

    text = package.sidecar_text(sha256=file.sha256, size=file.size)
    sidecar.write_text(small.ledger.key.sign(text), "utf-8")
    assert "outside.sidecar" in codes(verify_package(str(path)), Verdict.PASS)

    sidecar.write_text(small.ledger.key.sign(text.replace(file.sha256, "0" * 64)), "utf-8")
    assert codes(verify_package(str(path))) == {"outside.sidecar_other"}

    sidecar.write_text(text, "utf-8")
    assert codes(verify_package(str(path))) == {"outside.sidecar_bad"}


@pytest.mark.parametrize("content", [None, b"", b"no zip"])
def test_what_is_no_package_is_unusable(tmp_path, content):
    path = tmp_path / "case.zip"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(PackageUnusable):
        verify_package(str(path))


def test_an_empty_folder_fails_for_everything_that_is_missing(tmp_path):
    result = verify_package(str(tmp_path))

    assert set(package.REQUIRED) <= files_named(result)


def test_records_of_any_shape_fail_without_breaking_the_verifier(small, tmp_path):
    """Each value of each JSON record replaced by values that nobody expects there."""
    strange = [None, True, -1, 2**53, "", "x", [], {}, [{}], {"a": []}]
    chance = random.Random(13)
    names = [name for name in small.files if name.endswith("json") and name != package.FINDINGS]
    with zipfile.ZipFile(io.BytesIO(small.pack())) as archive:
        archive.extractall(tmp_path)

    for _ in range(40):
        name = chance.choice(names)
        lines = small.files[name].splitlines()
        number = chance.randrange(len(lines))
        value = json.loads(lines[number])
        _replace_one(value, chance, strange)
        lines[number] = json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode()
        (tmp_path / name).write_bytes(b"\n".join(lines) + b"\n" * name.endswith("ndjson"))
        result = verify(open_source(str(tmp_path)))
        assert result.verdict is Verdict.FAIL
        (tmp_path / name).write_bytes(small.files[name])


def _replace_one(value, chance, strange):
    """Replace a value somewhere inside ``value``."""
    while isinstance(value, (dict, list)) and value:
        key = chance.choice(list(value) if isinstance(value, dict) else range(len(value)))
        inner = value[key]
        if not isinstance(inner, (dict, list)) or not inner or chance.random() < 0.3:
            value[key] = chance.choice([item for item in strange if item != inner])
            return
        value = inner


def test_an_act_of_any_shape_signed_by_the_device_breaks_nothing(check):
    """A hostile device signs what it likes; the verifier still answers."""
    strange = [
        True,
        -1,
        "x",
        [],
        {},
        [{}],
        [5],
        {"a": []},
        [{"device": [], "epoch": {}, "seq": []}],
    ]
    chance = random.Random(17)

    names = ["item", "sha256", "media", "heads", "device", "epoch", "seq", "head", "inspection"]

    for _ in range(10):
        more = [
            (kind, {name: chance.choice(strange) for name in names}) for kind in sorted(acts.KNOWN)
        ]
        result = check(build_small_package(more_acts=more).pack())
        assert result.verdict is Verdict.FAIL


def test_every_claim_has_a_sentence_in_both_languages(small, check):
    from sync.evidence.texts import LANGUAGES, load_texts

    texts = load_texts()
    for key, both in texts.items():
        assert set(both) == set(LANGUAGES), key
    for claim in check(small.pack()[:-40]).claims:
        for lang in LANGUAGES:
            assert claim.text(texts, lang)


def test_the_bag_is_that_of_the_inspection(small, check):
    with zipfile.ZipFile(io.BytesIO(small.pack())) as archive:
        info = dict(bag.parse_info(archive.read(bag.BAG_INFO)))

    assert info["External-Identifier"] == INSPECTION
