"""The REST interface asked at random: as its OpenAPI document allows, and otherwise."""

from typing import get_args

import pytest
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given, settings

from model.alphabets import CHARSETS
from review.app import create_app
from review.routes import Charset, router
from review.security import Access
from segmentation.templates import load_template
from tests.desk_folder import open_desk, slips

schemathesis = pytest.importorskip("schemathesis", reason="the extra `test` is not installed")
from schemathesis.specs.openapi.checks import positive_data_acceptance  # noqa: E402

EXAMPLES = 40
# What is wrong with a request that is as the document wants it.
MEANT = {"empty_text", "bad_mark", "unreadable_picture", "unknown_template"}
TAKE_NOTHING = {("GET", "/api/templates"), ("GET", "/api/labels")}
OPERATIONS = [
    (method, route.path) for route in router.routes if isinstance(route, APIRoute) for method in route.methods
]


@pytest.fixture(scope="module")
def interface(tmp_path_factory):
    desk = open_desk(slips(tmp_path_factory.mktemp("fuzz")), templates={"hsf": load_template("hsf")})
    app = create_app(desk, Access(hosts=frozenset({"testserver", "localhost"})))
    yield schemathesis.openapi.from_asgi("/openapi.json", app)
    desk.close()


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_answer_is_as_described(interface, method, path, mode):
    """No fault, no answer that the document does not have, nothing wrong that is taken for right."""
    operation = interface[path][method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    def ask(case):
        response = case.call()
        about_content = response.status_code == 422 and response.json()["code"] in MEANT
        case.validate_response(response, excluded_checks=[positive_data_acceptance] if about_content else [])

    if mode is schemathesis.GenerationMode.POSITIVE or (method, path) not in TAKE_NOTHING:
        ask()


def test_the_charsets_of_the_interface_are_those_of_the_model():
    assert set(get_args(Charset)) == set(CHARSETS)
