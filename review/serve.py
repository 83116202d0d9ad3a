"""Listens, prints the address, serves until it is told to stop."""

import logging
import secrets
import socket
from collections.abc import Callable

import uvicorn

from review.app import create_app
from review.desk import Desk
from review.security import LOOPBACK, Access, loopback_only


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 is any that is free. Raises OSError if it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=128)
    # Connections inherit it. The head and the body of an answer are two packets, and without it the second
    # waits 40 ms until the first was acknowledged; asyncio does not see that this socket is one of TCP.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def access_for(host: str, token: str | None, allowed_hosts: tuple[str, ...], max_upload_bytes: int) -> Access:
    """Who may ask a server that listens on ``host``; beyond loopback there is always a token."""
    if token is None and not loopback_only([host]):
        token = secrets.token_urlsafe(24)
    names = {name.lower() for name in allowed_hosts}
    hosts = frozenset({*LOOPBACK, host.lower(), *names}) if token is None or names else frozenset[str]()
    return Access(token, hosts, max_upload_bytes)


def address(listening: socket.socket, host: str, token: str | None) -> str:
    """What to open in a browser."""
    port = listening.getsockname()[1]
    name = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    name = f"[{name}]" if ":" in name else name
    return f"http://{name}:{port}/" + (f"?token={token}" if token else "")


def serve(desk: Desk, access: Access, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Serves until SIGINT or SIGTERM; requests that are being answered are answered to the end.

    Args:
        desk: what is served; closed at the end.
        access: who may ask.
        listening: see ``listen``.
        ready: called when requests are answered.
    """
    config = uvicorn.Config(
        create_app(desk, access),
        access_log=False,  # the first address of a visit has the token in it
        log_config=None,
        log_level=logging.WARNING,
        server_header=False,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=30,
    )
    server = _Server(config, ready)
    try:
        server.run(sockets=[listening])
    finally:
        desk.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()
