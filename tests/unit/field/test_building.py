"""How the field app is built: when, of what, and what is said where it cannot be."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.fieldapp import SOURCE, building


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """A copy of the sources with an app that was built of them."""
    copy = tmp_path / "sync" / "field"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("node_modules"))
    (tmp_path / "sync" / "catalogue").mkdir()
    shutil.copy(SOURCE.parent / "catalogue" / "field.json", tmp_path / "sync" / "catalogue")
    monkeypatch.setattr(building, "SOURCE", copy)
    monkeypatch.setattr(building, "_CATALOGUE", copy.parent / "catalogue")
    target = tmp_path / "built"
    target.mkdir()
    (target / "made-of.txt").write_text(building.digest() + "\n", "ascii")
    return copy, target


@pytest.mark.parametrize("name", ["src/main.tsx", "package-lock.json", "../catalogue/field.json"])
def test_the_app_is_built_again_when_something_it_is_made_of_has_changed(sources, name):
    copy, target = sources
    assert building.is_current(target)

    with (copy / name).open("a") as file:
        file.write(" ")

    assert not building.is_current(target)


def test_tests_and_documents_of_the_app_are_no_reason_to_build_it_again(sources):
    copy, target = sources

    (copy / "README.md").write_text("more", "utf-8")
    (copy / "test" / "another.test.ts").parent.mkdir(exist_ok=True)
    (copy / "test" / "another.test.ts").write_text("// more", "utf-8")

    assert building.is_current(target)


def test_an_app_that_was_never_built_is_not_current(tmp_path):
    assert not building.is_current(tmp_path)


def test_a_registry_that_does_not_answer_is_named_in_a_sentence():
    said = building.explained("npm error code ECONNREFUSED\nnpm error errno ECONNREFUSED")

    assert "The npm registry could not be reached" in said
    assert "无法连接 npm 软件源" in said
    assert "LIUHEN_SKIP_WEB=1" in said


@pytest.mark.parametrize(("value", "skipped"), [("1", True), ("0", False), ("", False)])
def test_the_build_is_skipped_only_where_that_was_asked_for(monkeypatch, value, skipped):
    monkeypatch.setenv("LIUHEN_SKIP_WEB", value)

    assert building.skipped() is skipped


def test_the_lock_names_no_registry_and_vouches_for_every_package():
    lock = (SOURCE / "package-lock.json").read_text("utf-8")

    assert '"resolved"' not in lock
    assert lock.count('"integrity"') == lock.count('"node_modules/')


def test_builds_that_begin_at_the_same_moment_all_come_to_an_end(tmp_path):
    folders = [tmp_path / name for name in ("one", "two")]

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(building.build, folders))

    assert all((folder / "index.html").exists() for folder in folders)
