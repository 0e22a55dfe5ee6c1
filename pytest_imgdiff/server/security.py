"""Who may ask for what: the names the server answers to, its token, and where a request comes from."""

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
    """Decides on each request before anything else looks at it.

    A page of any other site can make a browser send requests here. What it cannot do is choose the ``Host`` that its
    own name, rebound to this machine, puts into them; send a header of ours; or hide its ``Origin``. Each is checked
    by itself, so that one that a browser gets wrong is not all there is.

    Args:
        host: the address that is bound.
        port: its port.
        names: further ``HOST`` or ``HOST:PORT`` to answer to, where a port is forwarded.
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
        """Let the request pass, or refuse it.

        Raises:
            Forbidden: it is for another host, from another site, or writes without the token.
            UnsupportedMediaType: it writes, and is of a kind that a plain form of any site can send.
        """
        self._check_host(request)
        self._check_site(request)
        if request.method not in _READS:
            self._check_write(request)

    def _check_host(self, request: Request) -> None:
        host = request.environ.get("HTTP_HOST", "").lower()
        if host not in self._hosts and not (self._any_address and _is_address(host, self._port)):
            raise Forbidden("this server does not answer to that host name; see --allow-host")

    @staticmethod
    def _check_site(request: Request) -> None:
        """Refuse what another site's page embeds or fetches; a link from anywhere to a page of ours is followed."""
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
            raise Forbidden("a request that writes names this server as its Origin")
        own = request.environ["HTTP_HOST"].lower()
        if origin.lower() not in (f"http://{own}", f"https://{own}"):  # the latter behind a proxy
            raise Forbidden("the request's Origin is another site")
        given = request.headers.get(TOKEN_HEADER, "")
        if not secrets.compare_digest(given.encode("utf-8", "replace"), self.token.encode()):
            raise Forbidden(f"the header {TOKEN_HEADER} is missing or is not this server's; load the page again")
        if request.mimetype not in ("application/json", "multipart/form-data"):
            raise UnsupportedMediaType("send application/json or, with pictures, multipart/form-data")


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches the address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bracketed(host: str) -> str:
    """Return the host as it stands in an address: IPv6 in brackets."""
    return f"[{host.lower()}]" if ":" in host else host.lower()


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _forms(name: str, port: int) -> set[str]:
    """Return how browsers write the host: without the port where it is that of HTTP."""
    return {f"{name}:{port}", name} if port == _HTTP_PORT else {f"{name}:{port}"}


def _is_address(host: str, port: int) -> bool:
    """Return whether the host is a bare address of ours: a name can be rebound to another machine, a number cannot."""
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
