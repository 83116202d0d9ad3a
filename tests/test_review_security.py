"""Who may ask the desk, what other sites can make a browser do, and what a browser may do with answers."""

import re

import pytest
from starlette.datastructures import Headers
from starlette.testclient import TestClient

from review.app import create_app
from review.security import Access, same_place
from review.serve import access_for, address
from tests.desk_folder import open_desk, slips

TOKEN = "correct-horse-battery-staple"
LEASE = {"verifier": "ann", "count": 1}


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = open_desk(slips(tmp_path_factory.mktemp("security")))
    yield desk
    desk.close()


def client_of(desk, access: Access, **headers: str) -> TestClient:
    return TestClient(
        create_app(desk, access), base_url="http://localhost:8765", headers=headers, follow_redirects=False
    )


def code(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-Formscribe": "1"}, 200),
        ({"X-Formscribe": "1", "Origin": "http://localhost:8765", "Sec-Fetch-Site": "same-origin"}, 200),
        ({}, 403),
        ({"X-Formscribe": "1", "Origin": "http://evil.example"}, 403),
        ({"X-Formscribe": "1", "Origin": "http://localhost:9999"}, 403),
        ({"X-Formscribe": "1", "Origin": "null"}, 403),
        ({"X-Formscribe": "1", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"X-Formscribe": "1", "Sec-Fetch-Site": "same-site"}, 403),
        ({"X-Formscribe": "1", "Host": "evil.example"}, 403),
        ({"X-Formscribe": "1", "Host": "127.0.0.1.evil.example:8765"}, 403),
        ({"X-Formscribe": "1", "Host": "[::1]:8765"}, 200),
        ({"X-Formscribe": "1", "Host": "127.0.0.1:1"}, 200),
        ({"X-Formscribe": "1", "Host": ""}, 403),
    ],
)
def test_only_the_own_pages_may_change_something(desk, headers, expected):
    answer = client_of(desk, Access()).post("/api/lease", json=LEASE, headers=headers)
    assert answer.status_code == expected, answer.text


def test_other_sites_can_neither_read_nor_show_what_is_here(desk):
    client = client_of(desk, Access())
    for path in ("/api/fields", "/pictures/pages/x.png"):
        assert code(client.get(path, headers={"Sec-Fetch-Site": "cross-site"})) == (403, "forbidden_origin")
    assert client.get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200  # a link
    preflight = client.options("/api/lease", headers={"Origin": "http://evil.example"})
    assert "access-control-allow-origin" not in preflight.headers


@pytest.mark.parametrize("path", ["/", "/api/progress", "/api/nothing", "/static/nothing", "/docs"])
def test_every_answer_has_the_headers(desk, path):
    headers = client_of(desk, Access()).get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"


def test_a_form_of_another_site_cannot_answer(desk):
    client = client_of(desk, Access())
    answer = client.post("/api/lease", content='{"verifier": "a"}', headers={"Content-Type": "text/plain"})
    assert code(answer) == (403, "header_required")


def test_with_a_token_nothing_is_open(desk):
    client = client_of(desk, Access(TOKEN), **{"X-Formscribe": "1"})
    for path in ("/api/progress", "/pictures/pages/x.png", "/docs", "/openapi.json", "/nothing"):
        answer = client.get(path)
        assert code(answer) == (401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert code(client.post("/api/lease", json=LEASE)) == (401, "unauthorized")
    page = client.get("/", headers={"Accept": "text/html"})
    assert page.status_code == 401
    assert 'action="/login"' in page.text


@pytest.mark.parametrize("wrong", ["", TOKEN[:-1], TOKEN + "x", "é"])
def test_wrong_tokens(desk, wrong):
    client = client_of(desk, Access(TOKEN))
    assert client.get("/", params={"token": wrong}).status_code == 401
    bearer = {"Authorization": b"Bearer " + wrong.encode()}
    assert client.get("/api/progress", headers=bearer).status_code == 401
    answer = client.post("/login", data={"token": wrong})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    cookie = {"Cookie": f"{Access(TOKEN).cookie_name}={TOKEN}"}  # the token itself is not the cookie
    assert client.get("/api/progress", headers=cookie).status_code == 401


@pytest.mark.parametrize("other", ['theme={"dark":true}', "x", "a[0]=1", "a b", "jp=日本", 'a="b', "=", ""])
def test_the_cookies_of_other_programs_do_not_matter(other):
    access = Access(TOKEN, frozenset())
    own = f"{access.cookie_name}={access.cookie_value}"
    for cookies in (f"{other}; {own}", f"{own};{other}"):
        assert access.lets_in(Headers(raw=[(b"cookie", cookies.encode())]))
    assert not access.lets_in(Headers(raw=[(b"cookie", f"{other}; x{own}; {own}x".encode())]))


def test_the_token_opens_once_and_leaves_a_cookie(desk):
    client = client_of(desk, Access(TOKEN))
    answer = client.get("/grid", params={"token": TOKEN, "label": "7"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/grid?label=7")
    cookie = answer.headers["set-cookie"].lower()
    assert TOKEN not in cookie
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "secure" not in cookie
    assert client.get("/api/progress").status_code == 200
    assert client.post("/api/lease", json=LEASE).status_code == 403  # the cookie alone changes nothing


def test_the_form_and_programs_get_in(desk):
    client = client_of(desk, Access(TOKEN))
    answer = client.post("/login", data={"token": TOKEN}, headers={"X-Forwarded-Proto": "https"})
    assert answer.status_code == 303
    assert "secure" in answer.headers["set-cookie"].lower()
    program = client_of(desk, Access(TOKEN), Authorization=f"Bearer {TOKEN}")
    assert program.get("/api/progress").status_code == 200
    other = client_of(desk, Access(TOKEN))
    foreign = other.post("/login", data={"token": TOKEN}, headers={"Origin": "http://evil.example"})
    assert code(foreign) == (403, "forbidden_origin")


def test_a_link_on_another_site_gets_a_page_that_goes_on_by_itself(desk):
    client = client_of(desk, Access(TOKEN))
    answer = client.get("/", params={"token": TOKEN}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200  # a redirect would come without the cookie
    assert "http-equiv" in answer.text


def test_no_redirect_leads_elsewhere(desk):
    answer = client_of(desk, Access(TOKEN)).get(f"http://localhost:8765//evil.example/?token={TOKEN}")
    assert answer.headers.get("location", "/").startswith("/evil.example")


def test_bodies_are_bounded(desk):
    client = client_of(desk, Access(max_upload_bytes=200_000), **{"X-Formscribe": "1"})
    large = {"verifier": "a", "held": ["a" * 2_000_000]}
    assert code(client.post("/api/lease", json=large)) == (413, "too_large")
    files = {"file": ("x.png", b"x" * 400_000)}
    assert code(client.post("/api/predict", files=files)) == (413, "too_large")

    def parts():
        for _ in range(5):
            yield b"x" * 100_000

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    assert code(client.post("/api/predict", content=parts(), headers=headers)) == (413, "too_large")


@pytest.mark.parametrize(
    ("host", "token", "names", "asked", "hosts"),
    [
        ("127.0.0.1", None, (), False, {"localhost", "127.0.0.1", "::1"}),
        ("localhost", None, ("desk.example",), False, {"localhost", "127.0.0.1", "::1", "desk.example"}),
        ("0.0.0.0", None, (), True, set()),
        ("192.0.2.7", TOKEN, (), True, set()),
        ("::", TOKEN, ("Desk.example",), True, {"localhost", "127.0.0.1", "::1", "::", "desk.example"}),
    ],
)
def test_beyond_this_machine_there_is_always_a_token(host, token, names, asked, hosts):
    access = access_for(host, token, names, 1)
    assert (access.token is not None) == asked
    assert access.token == token or len(access.token) >= 32
    assert access.hosts == hosts


def test_open_to_everybody_is_impossible():
    with pytest.raises(ValueError):
        Access(None, frozenset())


class Listening:
    def getsockname(self):
        return ("", 81)


def test_the_address_can_be_opened():
    assert address(Listening(), "127.0.0.1", None) == "http://127.0.0.1:81/"
    assert address(Listening(), "::1", "t") == "http://[::1]:81/?token=t"
    assert "0.0.0.0" not in address(Listening(), "0.0.0.0", "t")


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("https://desk.example", "desk.example", True),
        ("https://desk.example", "desk.example:443", True),
        ("http://desk.example:81", "desk.example:82", False),
        ("https://desk.example.evil", "desk.example", False),
        ("file://", "desk.example", False),
        ("http://[::1", "localhost", False),
    ],
)
def test_origins(origin, host, same):
    assert same_place(origin, host) is same


def test_the_name_of_the_folder_is_escaped(tmp_path):
    output = slips(tmp_path, 1)
    hostile = output.rename(tmp_path / '"><script>alert(1)<')
    desk = open_desk(hostile)
    client = client_of(desk, Access())
    for path in ("/", "/grid", "/upload"):
        page = client.get(path).text
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page
    desk.close()


@pytest.mark.parametrize("path", ["/", "/grid", "/upload", "/docs"])
def test_pages_have_no_script_or_style_of_their_own(desk, path):
    page = client_of(desk, Access()).get(path).text
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", page)
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", page)
