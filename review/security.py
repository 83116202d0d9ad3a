"""Who may ask, and what browsers may do with the answers.

A request passes if its host is one this server answers to, if it brings the token where one is needed, and,
if it changes something, if it comes from the desk's own pages: the header ``X-Formscribe`` cannot be sent by
other sites without a permission that this server never gives, and ``Origin`` and ``Sec-Fetch-Site`` must
agree.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from review.problems import ProblemError

LOOPBACK = ("localhost", "127.0.0.1", "::1")
JSON_BYTES = 1_000_000
UPLOADS = ("/api/picture", "/api/predict", "/api/read")
_OPEN_PATHS = ("/login",)
_READS = ("GET", "HEAD", "OPTIONS")
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # with less, browsers send the form of the token as from nowhere
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
_LOGIN = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>formscribe</title>
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/static/desk.css"></head>
<body class="login"><main><h1>formscribe</h1>{said}<form method="post" action="/login">
<label>Token <input name="token" type="password" autocomplete="current-password" autofocus></label>
<button>Enter</button></form><p>The token is in the line that <code>formscribe review</code> has printed.</p>
</main></body></html>"""
_ENTERED = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>formscribe</title>
<meta http-equiv="refresh" content="0; url=/"></head><body><a href="/">formscribe</a></body></html>"""


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Attributes:
        token: must be brought; None on the loopback interface, where the hosts are limited instead.
        hosts: names in addresses that this server answers to; none means any, which needs a token.
        max_upload_bytes: of a picture that is sent.
    """

    token: str | None = None
    hosts: frozenset[str] = field(default_factory=lambda: frozenset(LOOPBACK))
    max_upload_bytes: int = 50_000_000

    def __post_init__(self) -> None:
        """Raises ValueError if everybody could ask."""
        if not self.token and not self.hosts:
            raise ValueError("without a token the hosts must be limited")

    @property
    def cookie_name(self) -> str:
        """Differs between desks on one host, since browsers do not tell ports apart."""
        return f"formscribe_{self._derived('name')[:8]}"

    @property
    def cookie_value(self) -> str:
        """Shows that the browser has had the token, which it does not contain."""
        return self._derived("cookie")

    def _derived(self, purpose: str) -> str:
        return hmac.new((self.token or "").encode(), purpose.encode(), hashlib.sha256).hexdigest()

    def is_token(self, text: str) -> bool:
        """Compares in a time that does not tell how much is right."""
        return bool(self.token) and hmac.compare_digest(text.encode(), (self.token or "").encode())

    def lets_in(self, headers: Headers) -> bool:
        """Whether a request brings the token, in a header or as the cookie."""
        if not self.token:
            return True
        kind, _, value = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.is_token(value.strip()):
            return True
        # Not SimpleCookie: it stops at the first odd pair, which another program on this host may have set.
        for pair in headers.get("cookie", "").split(";"):
            name, _, value = pair.strip().partition("=")
            if name == self.cookie_name and hmac.compare_digest(value.encode(), self.cookie_value.encode()):
                return True
        return False


class Guard:
    """Stands before the whole application."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        """Keeps both."""
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the module."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # nothing here talks over web sockets
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        try:
            answer = self._before(scope, headers) or await self._login(scope, receive)
        except ProblemError as problem:
            answer = problem_response(problem)
        if answer is not None:
            await answer(scope, receive, _with_headers(send, scope))
            return
        limit = self._access.max_upload_bytes + 100_000 if scope["path"] in UPLOADS else JSON_BYTES
        await _limited(self._app, scope, receive, _with_headers(send, scope), limit)

    def _before(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if self._access.hosts and host_name(host) not in self._access.hosts:
            raise ProblemError(
                403, "forbidden_host", f"This server does not answer to {host[:100]!r}: see --allowed-host."
            )
        self._check_origin(scope, headers, host)
        if scope["path"] in _OPEN_PATHS or scope["path"].startswith("/static/"):
            return None
        if self._access.lets_in(headers):
            return None
        return self._refuse_or_enter(scope, headers)

    def _check_origin(self, scope: Scope, headers: Headers, host: str) -> None:
        site = headers.get("sec-fetch-site", "none")
        path = scope["path"]
        reads = scope["method"] in _READS
        if reads and not (path.startswith(("/api/", "/pictures/")) and site == "cross-site"):
            return
        if site not in ("same-origin", "none"):
            raise ProblemError(403, "forbidden_origin", "Requests from other sites are refused.")
        origin = headers.get("origin")
        if origin is not None and not reads and not same_place(origin, host):
            raise ProblemError(403, "forbidden_origin", "Requests from other sites are refused.")
        if not reads and path not in _OPEN_PATHS and headers.get("x-formscribe") != "1":
            raise ProblemError(403, "header_required", "Send the header X-Formscribe: 1.")

    def _refuse_or_enter(self, scope: Scope, headers: Headers) -> Response:
        brought = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if scope["method"] == "GET" and self._access.is_token(brought.pop("token", [""])[0]):
            # The cookie comes with no request that another site has caused, a redirect of it included.
            if headers.get("sec-fetch-site") == "cross-site":
                return self._entered(scope, HTMLResponse(_ENTERED))
            rest = urlencode(brought, doseq=True)
            place = "/" + scope["path"].lstrip("/") + (f"?{rest}" if rest else "")
            return self._entered(scope, RedirectResponse(place, 303))
        if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            return HTMLResponse(_LOGIN.format(said=""), 401)
        response = problem_response(
            ProblemError(401, "unauthorized", "Send the header Authorization: Bearer TOKEN.")
        )
        response.headers["www-authenticate"] = "Bearer"
        return response

    async def _login(self, scope: Scope, receive: Receive) -> Response | None:
        if scope["path"] != "/login" or not self._access.token:
            return None
        if scope["method"] != "POST":
            return HTMLResponse(_LOGIN.format(said=""))
        body = await _short_body(receive)
        given = parse_qs(body.decode("latin-1")).get("token", [""])[0]
        if not self._access.is_token(given):
            return HTMLResponse(_LOGIN.format(said="<p role=alert>This is not the token.</p>"), 401)
        return self._entered(scope, RedirectResponse("/", 303))

    def _entered(self, scope: Scope, response: Response) -> Response:
        forwarded = Headers(scope=scope).get("x-forwarded-proto", "")
        secure = scope.get("scheme") == "https" or forwarded == "https"
        name, value = self._access.cookie_name, self._access.cookie_value
        response.set_cookie(name, value, httponly=True, samesite="strict", secure=secure, max_age=30 * 86_400)
        return response


def problem_response(problem: ProblemError) -> Response:
    """A problem as an answer."""
    content = json.dumps(problem.body(), ensure_ascii=False).encode("utf-8", "replace")
    return Response(content, problem.status, media_type="application/problem+json")


def host_name(host: str) -> str:
    """The name in a Host header, without the port, in small letters; of IPv6 without brackets."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def same_place(origin: str, host: str) -> bool:
    """Whether an Origin header names the host and port of a Host header; a proxy may change the scheme."""
    try:
        there, here = urlsplit(origin), urlsplit(f"//{host}")
        default = {"http": 80, "https": 443}.get(there.scheme)
        if default is None or there.hostname is None:
            return False
        return there.hostname == here.hostname and (there.port or default) == (here.port or default)
    except ValueError:
        return False


def _with_headers(send: Send, scope: Scope) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            if not scope["path"].startswith("/pictures/"):
                # Scripts of two versions must never meet on one page.
                kept = "no-cache" if scope["path"].startswith("/static/") else "no-store"
                headers.setdefault("cache-control", kept)
        await send(message)

    return sending


async def _limited(app: ASGIApp, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
    """Lets the application read at most ``limit`` bytes; whatever it makes of the rest, the answer is 413."""
    too_large = problem_response(ProblemError(413, "too_large", f"At most {limit:,} bytes are taken."))
    declared = Headers(scope=scope).get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        await too_large(scope, receive, send)
        return
    seen, over = 0, False

    async def receiving() -> Message:
        nonlocal seen, over
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            over = True
            raise ValueError("too large")
        return message

    async def sending(message: Message) -> None:
        if not over:
            await send(message)

    try:
        await app(scope, receiving, sending)
    except ValueError:
        if not over:
            raise
    if over:
        await too_large(scope, receive, send)


async def _short_body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > 10_000:
            raise ProblemError(413, "too_large", "At most 10,000 bytes are taken.")
        if not message.get("more_body"):
            return body


def loopback_only(hosts: Iterable[str]) -> bool:
    """Whether a server that listens there can be reached from this machine alone."""
    return all(host in LOOPBACK or host.startswith("127.") for host in hosts)
