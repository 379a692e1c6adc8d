"""The API's description is valid, complete, and true about errors and tokens."""

import pytest
from openapi_spec_validator import validate

from tests.support.world import make_world


@pytest.fixture
def world(make_database, tmp_path):
    return make_world(make_database("sqlite"), tmp_path / "var")


@pytest.fixture
def document(world):
    return world.client.get("/api/v1/openapi.json").json


def test_the_document_is_openapi_3_1(document):
    assert document["openapi"] == "3.1.0"
    validate(document)


def test_every_route_of_the_api_is_described(world, document):
    described = {
        (path, method.upper())
        for path, item in document["paths"].items()
        for method in item
        if method != "parameters"
    }
    for rule in world.app.url_map.iter_rules():
        if not rule.rule.startswith("/api/v1/") or rule.endpoint.startswith("api-docs"):
            continue
        path = (
            rule.rule.replace("<", "{").replace(">", "}").replace("uuid:", "").replace("int:", "")
        )
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            assert (path, method) in described, (path, method)


def test_errors_are_described_as_the_problem_documents_that_they_are(document):
    response = document["components"]["responses"]["DEFAULT_ERROR"]

    assert list(response["content"]) == ["application/problem+json"]
    assert "code" in document["components"]["schemas"]["Problem"]["properties"]


def test_what_needs_a_token_says_so_and_the_rest_does_not(world, document):
    open_paths = {"/api/v1/hello", "/api/v1/enrolments", "/api/v1/nonces", "/api/v1/tokens"}
    open_paths |= {"/api/v1/ledger/generations"}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in ("parameters", "options"):
                continue
            needs_token = "security" in operation
            assert needs_token == (path not in open_paths), (method, path)
            if needs_token and "{" not in path:
                answer = world.client.open(path, method=method.upper())
                assert answer.status_code in (401, 412), (method, path, answer.status_code)


def test_an_address_that_is_not_there_is_a_problem_document(world):
    answer = world.client.get("/api/v1/nothing")

    assert (answer.status_code, answer.json["code"]) == (404, "http.404")
    assert answer.content_type == "application/problem+json"


def test_a_method_that_is_not_there_is_a_problem_document(world):
    answer = world.client.delete("/api/v1/hello")

    assert (answer.status_code, answer.json["code"]) == (405, "http.405")
    assert "GET" in answer.headers["Allow"]


def test_a_problem_speaks_the_language_of_the_caller(world):
    chinese = world.client.get("/api/v1/feed").json["title"]
    english = world.client.get("/api/v1/feed", headers={"Accept-Language": "en"}).json["title"]

    assert chinese == "缺少有效的设备令牌。"
    assert english == "A valid device token is missing."
