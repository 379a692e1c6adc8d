"""The field app's files as the server gives them out."""

import gzip

import pytest
from flask import Flask

from server.field_app import CONFIG, register_field_app


@pytest.fixture
def folder(tmp_path):
    """A built app of a few small files, beside something that is not part of it."""
    built = tmp_path / "field"
    (built / "assets").mkdir(parents=True)
    (built / "index.html").write_text("<!doctype html><title>留痕</title>", "utf-8")
    (built / "sw.js").write_text("self.addEventListener('install', () => {});", "utf-8")
    (built / "assets" / "index-AbCd1234.js").write_text("export {};", "utf-8")
    (tmp_path / "secret.txt").write_text("not for anybody", "utf-8")
    return built


@pytest.fixture
def browser(folder):
    app = Flask("server", static_folder=None)
    app.config[CONFIG] = folder
    register_field_app(app)
    return app.test_client()


def test_the_page_may_use_camera_and_microphone_and_runs_nothing_from_elsewhere(browser):
    answer = browser.get("/app/")

    policy = answer.headers["Content-Security-Policy"]
    assert answer.status_code == 200
    assert "default-src 'none'" in policy
    assert "script-src 'self' 'wasm-unsafe-eval';" in policy
    assert "unsafe-inline" not in policy
    for ability in ("camera", "microphone", "geolocation"):
        assert f"{ability}=(self)" in answer.headers["Permissions-Policy"]


def test_what_is_named_by_its_content_is_kept_and_the_rest_is_asked_for_again(browser):
    hashed = browser.get("/app/assets/index-AbCd1234.js")

    assert hashed.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    for name in ("", "sw.js"):
        assert browser.get(f"/app/{name}").headers["Cache-Control"] == "no-cache"


def test_what_has_not_changed_is_not_sent_again(browser):
    tag = browser.get("/app/sw.js").headers["ETag"]

    again = browser.get("/app/sw.js", headers={"If-None-Match": tag})

    assert (again.status_code, again.data) == (304, b"")


def test_the_service_worker_may_govern_the_whole_app(browser):
    answer = browser.get("/app/sw.js")

    assert answer.headers["Service-Worker-Allowed"] == "/app/"
    assert answer.content_type == "text/javascript; charset=utf-8"


def test_files_come_packed_to_whoever_takes_them_packed(browser, folder):
    answer = browser.get("/app/", headers={"Accept-Encoding": "gzip"})

    assert answer.headers["Vary"] == "Accept-Encoding"
    assert gzip.decompress(answer.data) == (folder / "index.html").read_bytes()


def test_a_file_that_was_built_anew_is_given_as_it_is_now(browser, folder):
    browser.get("/app/sw.js")
    (folder / "sw.js").write_text("// another version", "utf-8")

    assert browser.get("/app/sw.js").data == b"// another version"


@pytest.mark.parametrize("name", ["../secret.txt", "%2e%2e/secret.txt", "assets", "none.js"])
def test_nothing_but_the_apps_own_files_is_found(browser, name):
    assert browser.get(f"/app/{name}").status_code == 404


def test_the_address_without_its_slash_leads_to_the_app(browser):
    answer = browser.get("/app")

    assert (answer.status_code, answer.headers["Location"]) == (308, "/app/")


def test_a_server_without_the_field_app_says_so_in_both_languages(browser, folder):
    (folder / "index.html").unlink()

    answer = browser.get("/app/")

    assert answer.status_code == 503
    assert "没有安装现场检查程序" in answer.text
    assert "The field app is not installed" in answer.text
    assert "LIUHEN_SKIP_WEB" in answer.text
