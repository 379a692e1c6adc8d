"""Who gets in and who may open what: one table, tried for every role and every route."""

import shutil

import pytest

from server.console.permissions import RULES
from server.db import transaction
from server.models.devices import Device
from server.models.people import ConsoleSession, User
from server.operations import people
from tests.support.console import (
    PASSWORD,
    ROLES,
    add_stranger,
    console_world,
    make_case,
    path_of,
    visitor,
)

_NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def scene(sqlite_template, tmp_path_factory):
    folder = tmp_path_factory.mktemp("access")
    shutil.copyfile(sqlite_template, folder / "access.sqlite")
    world = console_world(f"sqlite:///{folder / 'access.sqlite'}", folder / "var")
    add_stranger(world)
    return world, make_case(world)


@pytest.fixture
def world(sqlite_template, tmp_path):
    shutil.copyfile(sqlite_template, tmp_path / "fresh.sqlite")
    return console_world(f"sqlite:///{tmp_path / 'fresh.sqlite'}", tmp_path / "var")


def _address(app, case, method, endpoint):
    """An address of that route with ids that exist."""
    values = {
        "inspection_id": case.inspection,
        "item_id": case.items["废水总排口"],
        "package_id": _NOBODY,
        "redaction_id": _NOBODY,
        "device_id": _NOBODY,
        "order_id": _NOBODY,
        "receipt_id": _NOBODY,
        "foreign_id": _NOBODY,
        "hold_id": _NOBODY,
        "kind": "line",
        "subject": "0" * 64,
        "template_id": "site_inspection_record",
        "version": 1,
        "purpose": "thumbnail",
        "disc": "dvd",
        "number": "1",
        "filename": "console.css",
    }
    rule = next(r for r in app.url_map.iter_rules(endpoint) if method in r.methods)
    with app.test_request_context():
        built = rule.build({name: values[name] for name in rule.arguments})
    return built[1]


def test_every_route_of_the_console_stands_in_the_table(scene):
    app = scene[0].app

    routes = {
        (method, rule.endpoint)
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("console.")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }

    assert routes == set(RULES)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_opens_exactly_the_routes_that_the_table_gives_it(scene, role):
    world, case = scene
    browser = visitor(world, role)
    found = {}

    for (method, endpoint), rule in RULES.items():
        if endpoint in ("console.log_out", "console.change_password") or rule.roles is None:
            continue
        address = _address(world.app, case, method, endpoint)
        answer = browser.get(address) if method == "GET" else browser.post(address)
        found[method, endpoint] = answer.status_code != 403
        assert answer.status_code != 500, endpoint

    assert found == {key: role in RULES[key].roles for key in found}


def test_without_a_login_every_page_leads_to_the_login_and_back(scene):
    world, case = scene
    browser = visitor(world)

    for (method, endpoint), rule in RULES.items():
        if rule.roles is not None:
            address = _address(world.app, case, method, endpoint)
            answer = browser.client.open(address, method=method)
            assert answer.status_code == 303, endpoint
            assert path_of(answer).startswith("/login?next="), endpoint


def test_another_organisations_rows_do_not_exist_whatever_ones_roles_are(scene):
    world, case = scene
    browser = visitor(world, "stranger")

    addresses = [
        ("GET", f"/inspections/{case.inspection}"),
        ("GET", f"/inspections/{case.inspection}/sheet"),
        ("GET", f"/inspections/{case.inspection}/sheet.pdf"),
        *(("GET", f"/items/{item}") for item in case.items.values()),
        *(
            ("GET", f"/items/{case.items['废水总排口']}/{part}")
            for part in ("thumbnail", "original", "download")
        ),
        ("POST", f"/items/{case.items['废水总排口']}/judgements"),
        ("POST", f"/inspections/{case.inspection}/packages"),
        *(("POST", f"/devices/{row.id}/revocation") for row in world.rows(Device)),
        *(("POST", f"/devices/{row.id}/holders") for row in world.rows(Device)),
        *(
            ("GET", f"/devices/{row.id}{part}")
            for row in world.rows(Device)
            for part in ("", "/statement")
        ),
    ]

    for method, address in addresses:
        form = {"verdict": "accepted", "reason": "x", "seen": "0"}
        answer = browser.get(address) if method == "GET" else browser.post(address, form)
        assert answer.status_code == 404, address
    for query in ("", case.inspection, "化工"):
        page = browser.get("/", query_string={"q": query}).text
        assert f"/inspections/{case.inspection}" not in page
    assert "projection." not in browser.get("/quarantine").text
    assert "测试手机" not in browser.get("/devices").text


@pytest.mark.parametrize("path", ["/logout", "/password", "/devices/codes"])
def test_a_form_from_elsewhere_is_refused(scene, path):
    browser = visitor(scene[0], "administrator")

    bare = browser.client.post(path, data={})
    foreign = browser.post(path, headers={"Sec-Fetch-Site": "cross-site"})
    stolen = browser.client.post(
        path, data={"csrf_token": visitor(scene[0], "administrator").token()}
    )

    assert [answer.status_code for answer in (bare, foreign, stolen)] == [403, 403, 403]


def test_the_login_form_needs_its_own_token(scene):
    answer = visitor(scene[0]).client.post(
        "/login", data={"username": "reviewer", "password": PASSWORD}
    )

    assert answer.status_code == 403


def test_a_login_gives_a_cookie_that_scripts_and_other_sites_do_not_get(scene):
    answer = visitor(scene[0]).log_in("reviewer")

    cookie = next(
        c for c in answer.headers.getlist("Set-Cookie") if c.startswith("liuhen_session=")
    )
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie


def test_over_https_the_cookies_are_secure(scene):
    browser = visitor(scene[0])

    answer = browser.get("/login", base_url="https://localhost")

    assert all("Secure" in cookie for cookie in answer.headers.getlist("Set-Cookie"))


def test_a_session_planted_before_the_login_is_worth_nothing_after_it(scene):
    browser = visitor(scene[0])
    browser.client.set_cookie("liuhen_session", "planted")

    answer = browser.log_in("reviewer")

    assert "planted" not in str(answer.headers.getlist("Set-Cookie"))
    thief = visitor(scene[0])
    thief.client.set_cookie("liuhen_session", "planted")
    assert thief.get("/").status_code == 303


def test_only_the_hash_of_a_session_is_kept(scene):
    browser = visitor(scene[0], "leader")

    token = browser.client.get_cookie("liuhen_session").value

    assert token not in {row.token_hash for row in scene[0].rows(ConsoleSession)}


def test_after_the_login_one_is_where_one_wanted_to_be_but_never_elsewhere(scene):
    world, _ = scene
    form = {"username": "reviewer", "password": PASSWORD}

    inside = visitor(world).post("/login", {**form, "next": "/quarantine"}, page="/login")
    outside = visitor(world).post("/login", {**form, "next": "//evil.example"}, page="/login")

    assert path_of(inside) == "/quarantine"
    assert outside.headers["Location"] == "/"


def test_logging_out_ends_the_session_itself(scene):
    browser = visitor(scene[0], "officer")
    token = browser.client.get_cookie("liuhen_session").value

    browser.post("/logout")

    browser.client.set_cookie("liuhen_session", token)
    assert browser.get("/").status_code == 303


def test_wrong_passwords_lock_the_account_for_a_while_and_are_an_alarm(world):
    browser = visitor(world)
    tries = world.settings.login_failures

    answers = [browser.log_in("reviewer", f"wrong {n}").status_code for n in range(tries)]
    right = browser.log_in("reviewer")
    world.now_ms += world.settings.login_window_s * 1000
    later = browser.log_in("reviewer")

    assert answers == [401] * (tries - 1) + [429]
    assert right.status_code == 429
    assert int(right.headers["Retry-After"]) > 0
    assert later.status_code == 303
    from server.models.ledger import LedgerEvent

    assert len(world.rows(LedgerEvent, kind="alarm")) == 1


def test_an_unknown_name_and_a_wrong_password_are_told_apart_by_nobody(world):
    unknown = visitor(world).log_in("nobody", "wrong")
    wrong = visitor(world).log_in("leader", "wrong")

    assert unknown.status_code == wrong.status_code == 401
    assert unknown.text.replace("nobody", "").count("problem") == wrong.text.count("problem")


def test_an_idle_session_ends_and_a_used_one_goes_on_until_its_lifetime(world):
    browser = visitor(world, "leader")
    settings = world.settings

    for _ in range(settings.session_lifetime_s // settings.session_idle_s):
        world.now_ms += settings.session_idle_s * 1000 - 120_000
        assert browser.get("/password").status_code == 200
    world.now_ms += settings.session_idle_s * 1000
    idle = browser.get("/password")
    again = visitor(world, "leader")
    world.now_ms += settings.session_lifetime_s * 1000

    assert idle.status_code == 303
    assert again.get("/password").status_code == 303


def test_a_one_time_password_opens_nothing_but_its_own_change(world):
    with world.app.app_context(), transaction() as session:
        secret = people.create_user(
            session,
            organization_id=world.organization,
            person_id=people.create_person(session, "新来的"),
            username="new",
            roles=("reviewer",),
            by={"server": "installation"},
            now_ms=world.now_ms,
        )
    browser = visitor(world)
    browser.log_in("new", secret)
    form = {"old": secret, "new": "my own long sentence", "again": "my own long sentence"}

    before = browser.get("/")
    weak = browser.post("/password", {**form, "new": "short", "again": "short"}, page="/password")
    typo = browser.post("/password", {**form, "again": "something else"}, page="/password")
    wrong = browser.post("/password", {**form, "old": "wrong"}, page="/password")
    done = browser.post("/password", form, page="/password")

    assert path_of(before) == "/password"
    assert [weak.status_code, typo.status_code, wrong.status_code] == [422, 400, 403]
    assert path_of(done) == "/"
    assert browser.get("/").status_code == 200
    assert visitor(world).log_in("new", secret).status_code == 401


def test_a_new_password_ends_every_other_session(world):
    here, there = visitor(world, "leader"), visitor(world, "leader")
    form = {"old": PASSWORD, "new": "my own long sentence", "again": "my own long sentence"}

    here.post("/password", form, page="/password")

    assert here.get("/").status_code == 200
    assert there.get("/").status_code == 303


def test_a_disabled_account_is_out_at_once(world):
    browser = visitor(world, "leader")

    with world.app.app_context(), transaction() as session:
        session.query(User).filter_by(username="leader").one().disabled = True

    assert browser.get("/").status_code == 303
    assert visitor(world).log_in("leader").status_code == 401


def test_the_first_start_gives_one_administrator_and_only_one(tmp_path, make_database):
    from server.app import create_database_app
    from server.failures import Conflict
    from server.operations import installation
    from server.settings import Settings
    from tests.support.bureau import environment

    url = make_database("sqlite")
    settings = Settings.from_env(environment(tmp_path, LIUHEN_DATABASE_URL=url))
    app = create_database_app(settings)
    installation.make_keys(settings)

    with app.app_context():
        with transaction() as session:
            installation.open_first_generation(session, settings, now_ms=1)
            password = people.bootstrap_administrator(session, now_ms=1)
            row = session.query(User).one()
            found = (row.username, row.must_change_password)
        with pytest.raises(Conflict), transaction() as session:
            people.bootstrap_administrator(session, now_ms=2)

    assert found == (people.FIRST_USERNAME, True)
    assert len(password) >= 20
