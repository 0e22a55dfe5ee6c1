"""Request checks: host names, the token, and the origin of requests."""

from __future__ import annotations

import ipaddress
import secrets
from typing import TYPE_CHECKING

from werkzeug.exceptions import Forbidden, UnsupportedMediaType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flask import Request

TOKEN_HEADER = "X-Imgdiff-Token"  # noqa: S105 - the header's name, not a secret
_READS = ("GET", "HEAD")
_HTTP_PORT = 80


class Gate:
    """Checks each request before anything else handles it.

    A page of another site can make a browser send requests here. It cannot set the ``Host`` to one of our names when
    its own name is rebound to this machine, send our header, or hide its ``Origin``. Each of these is checked
    separately, so that a browser bug in one does not open the server.

    Args:
        host: the bound address.
        port: its port.
        names: additional ``HOST`` or ``HOST:PORT`` to accept, for forwarded ports.
    """

    def __init__(self, host: str, port: int, names: Iterable[str] = ()) -> None:
        self.token: str = secrets.token_urlsafe(32)
        self._port = port
        self._any_address = _is_any(host)
        own = {bracketed(host)} if not is_loopback(host) else {bracketed(host), "localhost", "127.0.0.1", "[::1]"}
        own |= {"localhost"} if self._any_address else set()
        self._hosts = {form for name in own for form in _forms(name, port)}
        self._hosts |= {name.lower() for name in names}

    def check(self, request: Request) -> None:
        """Accept the request or raise.

        Raises:
            Forbidden: it is for another host, from another site, or writes without the token.
            UnsupportedMediaType: it writes, and has a content type that an HTML form of any site can send.
        """
        self._check_host(request)
        self._check_site(request)
        if request.method not in _READS:
            self._check_write(request)

    def _check_host(self, request: Request) -> None:
        host = request.environ.get("HTTP_HOST", "").lower()
        if host not in self._hosts and not (self._any_address and _is_address(host, self._port)):
            raise Forbidden("unknown host name; allow it with --allow-host")

    @staticmethod
    def _check_site(request: Request) -> None:
        """Raise if another site's page embeds or fetches; links from anywhere to our pages are allowed."""
        site = request.headers.get("Sec-Fetch-Site", "none")
        link = request.headers.get("Sec-Fetch-Mode") == "navigate" and request.method in _READS
        link = link and request.headers.get("Sec-Fetch-Dest", "document") == "document"
        if site not in ("same-origin", "none") and not link:
            raise Forbidden("the request comes from a page of another site")

    def _check_write(self, request: Request) -> None:
        if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            raise Forbidden("the request comes from a page of another site")
        origin = request.headers.get("Origin")
        if origin is None:
            raise Forbidden("a request that writes must have this server as its Origin")
        own = request.environ["HTTP_HOST"].lower()
        if origin.lower() not in (f"http://{own}", f"https://{own}"):  # https if behind a proxy
            raise Forbidden("the request's Origin is another site")
        given = request.headers.get(TOKEN_HEADER, "")
        if not secrets.compare_digest(given.encode("utf-8", "replace"), self.token.encode()):
            raise Forbidden(f"the header {TOKEN_HEADER} is missing or invalid; reload the page")
        if request.mimetype not in ("application/json", "multipart/form-data"):
            raise UnsupportedMediaType("send application/json or, with images, multipart/form-data")


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bracketed(host: str) -> str:
    """Return the host as written in a URL: IPv6 in brackets."""
    return f"[{host.lower()}]" if ":" in host else host.lower()


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _forms(name: str, port: int) -> set[str]:
    """Return the forms of the host that browsers send: without the port if it is the default of HTTP."""
    return {f"{name}:{port}", name} if port == _HTTP_PORT else {f"{name}:{port}"}


def _is_address(host: str, port: int) -> bool:
    """Return whether the host is an IP address of ours: a name can be rebound to another machine, an address cannot."""
    address, colon, number = host.rpartition(":")
    if not colon or number != str(port):
        address, number = host, str(_HTTP_PORT)
    if number != str(port):
        return False
    try:
        ipaddress.ip_address(address.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
