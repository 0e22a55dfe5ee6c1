"""Models fetched from a real server on loopback: the hub's protocol, and every way in which it fails."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import tarfile
import time
from contextlib import closing
from pathlib import Path

import pytest

from pytest_imgdiff.base.errors import ConfigError, ModelError, ModelUnavailableError
from pytest_imgdiff.networks import ModelSettings, fetch, locate
from tests import model_archives
from tests.model_archives import FILES, HOSTILE, contents, good_tar
from tests.model_server import CHUNKED, HEAD, QUERY, body, endless, model, redirect, serving, silent, trickle

BOUND = 20
"""Seconds; far above the 0.5 s after which downloads are cut off here, far below for ever."""


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server():
    with serving() as server:
        yield server


@pytest.fixture
def settings(tmp_path):
    def make(handle: str, **options: object) -> ModelSettings:
        limits = {"connect_timeout": 0.5, "timeout": 5.0, "max_megabytes": 10, "cache": str(tmp_path / "cache")}
        return ModelSettings(handle, **{**limits, **options})

    return make


def refusal(settings: ModelSettings) -> str:
    """Return the one line with which fetching fails; nothing is left in the cache, and it does not take for ever."""
    start = time.monotonic()
    with pytest.raises(ModelError) as caught:
        fetch(settings)
    assert time.monotonic() - start < BOUND
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"model {settings.model}: ")
    cache = Path(settings.cache)
    assert not cache.exists() or list(cache.iterdir()) == []
    return line.removeprefix(f"model {settings.model}: ")


def test_a_model_is_fetched_once_by_the_compressed_form_of_the_protocol(server, settings):
    handle = settings(server.address("/google/model/4", model()))
    assert fetch(handle)
    assert server.asked == [f"/google/model/4?{QUERY}"]
    located = locate(handle)
    assert contents(located.saved_model) == FILES
    assert not fetch(handle)
    assert len(server.asked) == 1


def test_a_query_of_the_handle_is_kept(server, settings):
    fetch(settings(server.address("/m/1", model()) + "?a=b&c=d%20e"))
    assert server.asked == [f"/m/1?a=b&c=d+e&{QUERY}"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_as_they_stand(server, settings, status):
    server.address("/storage/blob.tar.gz", model())
    server.address("/second", redirect("/storage/blob.tar.gz?signature=1", status))
    handle = settings(server.address("/m/1", redirect(server.address("/second"), status)))
    assert fetch(handle)
    assert server.asked == [f"/m/1?{QUERY}", "/second", "/storage/blob.tar.gz?signature=1"]
    assert contents(locate(handle).saved_model) == FILES


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_a_server_may_have_decompressed_the_archive_already(server, settings, form):
    handle = settings(server.address("/m/1", body(good_tar(form), kind="application/x-tar")))
    fetch(handle)
    assert contents(locate(handle).saved_model) == FILES


def test_a_server_need_not_say_how_long_the_archive_is(server, settings):
    def unsized(handler):
        handler.wfile.write(HEAD + b"\r\n" + model_archives.good())

    def chunked(handler):
        data = model_archives.good()
        handler.wfile.write(CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data))

    for number, answer in enumerate((unsized, chunked)):
        assert fetch(settings(server.address(f"/m/{number}", answer)))


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        pytest.param(None, "127.0.0.1 has no such model (404 Not Found)", id="404"),
        pytest.param(body(b"x", status=410), "127.0.0.1 has no such model (410 Gone)", id="410"),
        pytest.param(body(b"x", status=403), "127.0.0.1 answered 403 Forbidden", id="403"),
        pytest.param(body(b"x", status=500), "127.0.0.1 answered 500 Internal Server Error", id="500"),
        pytest.param(body(b"", status=204), "127.0.0.1 answered 204 No Content", id="204"),
        pytest.param(
            body(b"\n<html><body>Sign in</body></html>", kind="text/html"), "not an archive, but a web page", id="HTML"
        ),
        pytest.param(
            body(model_archives.good()[:400], length=500), "the download ended after 400 of 500 bytes", id="truncated"
        ),
        pytest.param(
            lambda handler: handler.wfile.write(CHUNKED + b"100\r\nabc"), "the download ended early", id="chunk"
        ),
        pytest.param(
            lambda handler: handler.wfile.write(HEAD + b"\r\n" + model_archives.good()[:400]),
            "the archive is damaged or incomplete",
            id="truncated without length",
        ),
        pytest.param(lambda _: None, "the download failed: Remote end closed connection", id="hangs up"),
        pytest.param(
            lambda handler: handler.wfile.write(b"SSH-2.0-OpenSSH\r\n"),
            "the download failed: SSH-2.0-OpenSSH",
            id="no HTTP",
        ),
        pytest.param(silent, "the server did not respond for 0.5 s (--connect-timeout)", id="silent"),
        pytest.param(
            body(b"\x1f\x8b", length=20_000_000), "larger than 10 MB (--max-megabytes)", id="says that it is too large"
        ),
        pytest.param(endless(HEAD + b"\r\n\x1f\x8b"), "larger than 10 MB (--max-megabytes)", id="endless and fast"),
        pytest.param(redirect("/m/1"), "redirected more than 10 times", id="redirect loop"),
        pytest.param(redirect(""), "redirect target is not a valid URL", id="redirect to nothing"),
        pytest.param(redirect("http://[::1"), "redirect target is not a valid URL", id="redirect to a wrong address"),
        pytest.param(
            redirect("file:///etc/passwd"), "redirect target is not a valid URL (file://)", id="redirect to a file"
        ),
        pytest.param(
            redirect("file://localhost/etc/passwd"),
            "redirected to file://localhost, but only https:// is allowed",
            id="redirect to a file with a host",
        ),
        pytest.param(
            redirect("ftp://example.org/x?secret"),
            "redirected to ftp://example.org, but only https://",
            id="redirect to ftp",
        ),
        pytest.param(
            redirect("http://example.org/x"),
            "redirected to http://example.org, but only https://",
            id="redirect to http",
        ),
    ],
)
def test_what_a_server_does_wrong_is_one_line_and_leaves_nothing(server, settings, answer, line):
    assert line in refusal(settings(server.address("/m/1", answer)))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(trickle(HEAD + b"\r\n", b"x"), id="body"),
        pytest.param(trickle(HEAD, b"x"), id="headers"),
        pytest.param(trickle(b"", b"H"), id="status line"),
        pytest.param(trickle(CHUNKED, b"1"), id="chunk size"),
        pytest.param(trickle(CHUNKED, b"1\r\nx\r\n"), id="chunks"),
    ],
)
def test_a_server_that_sends_a_byte_now_and_then_is_cut_off(server, settings, answer):
    line = refusal(settings(server.address("/m/1", answer), timeout=0.5))
    assert line == "the download took longer than 0.5 s (--timeout)"


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_or_damaged_archive_is_refused_and_leaves_nothing(server, settings, kind, tmp_path):
    make, words = HOSTILE[kind]
    assert words in refusal(settings(server.address("/m/1", body(make()))))
    assert [path.name for path in tmp_path.rglob("*") if "evil" in path.name] == []


def test_a_port_where_nobody_listens(settings):
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    assert "Connection refused" in refusal(settings(f"http://127.0.0.1:{port}/m/1"))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems answer differently where a queue is full")
def test_a_server_that_accepts_no_connection(settings):
    with closing(socket.create_server(("127.0.0.1", 0), backlog=0)) as listener:
        port = listener.getsockname()[1]
        with closing(socket.create_connection(("127.0.0.1", port))):  # the queue is full
            line = refusal(settings(f"http://127.0.0.1:{port}/m/1"))
    assert line == "the server did not respond for 0.5 s (--connect-timeout)"


def test_a_name_that_nobody_knows(settings):
    assert "unknown host" in refusal(settings("https://no-such-host.invalid/m/1"))


def test_a_server_that_speaks_no_tls(server, settings):
    address = server.address("/m/1", model()).replace("http://", "https://")
    assert "the download failed: [SSL" in refusal(settings(address))


@pytest.fixture
def secure_server(server, tmp_path):
    """The server behind TLS, with a self-signed certificate for localhost."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command, *names, "-keyout", key, "-out", certificate], capture_output=True, check=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.certificate = certificate
    return server


def test_a_model_comes_over_tls_from_a_server_whose_certificate_is_trusted(
    secure_server, settings, monkeypatch, tmp_path
):
    base = f"https://localhost:{secure_server.server_port}"
    handle = settings(f"{base}/m/1")
    secure_server.answers["/m/1"] = redirect("/n/1")
    secure_server.answers["/n/1"] = model()
    assert refusal(handle) == "the server's certificate is not trusted (self-signed certificate)"
    monkeypatch.setenv("SSL_CERT_FILE", str(secure_server.certificate))
    assert fetch(handle)
    secure_server.answers["/n/1"] = redirect(secure_server.address("/plain", model()))
    down = settings(f"{base}/m/1", cache=str(tmp_path / "other"))
    assert refusal(down) == "redirected to http://127.0.0.1, but only https:// is allowed"
    secure_server.answers["/n/2"] = trickle(HEAD, b"x")
    slow = settings(f"{base}/n/2", timeout=0.5, cache=str(tmp_path / "other"))
    assert refusal(slow) == "the download took longer than 0.5 s (--timeout)"


def test_a_silent_server_behind_tls(settings):
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        line = refusal(settings(f"https://127.0.0.1:{listener.getsockname()[1]}/m/1"))
    assert line == "the server did not respond for 0.5 s (--connect-timeout)"


def test_a_proxy_of_the_environment_is_asked(server, settings, monkeypatch):
    monkeypatch.setenv("http_proxy", server.address(""))
    monkeypatch.setenv("no_proxy", "")
    server.answers["/m/1"] = model()
    assert fetch(settings("http://localhost:9/m/1"))
    assert server.asked == [f"http://localhost:9/m/1?{QUERY}"]


@pytest.mark.parametrize(
    ("handle", "line"),
    [
        ("http://example.org/m/1", "model http://example.org/m/1: only https:// URLs are allowed"),
        (
            "http://127.0.0.1.example.org/m",
            "model http://127.0.0.1.example.org/m: only https:// URLs are allowed",
        ),
        ("file:///etc/passwd", "model file:///etc/passwd: the URL has no host"),
        ("gs://bucket/model", "model gs://bucket/model: only https:// URLs are allowed"),
        ("https:///m/1", "model https:///m/1: the URL has no host"),
        ("https://host:port/m", "model https://host:port/m: not a valid URL: Port could not be cast"),
        (
            "https://me:secret@example.org/m",
            "model https://...@example.org: a URL must not contain a user name or password",
        ),
        ("https://example.org/ä", "model https://example.org/ä: a URL must not contain spaces"),
        ("https://example.org/a b", "model https://example.org/a b: a URL must not contain spaces"),
        ("https://example.org/a\r\nX: y", r"model https://example.org/a\x0d\x0aX: y: a URL must not contain spaces"),
    ],
)
def test_what_is_no_safe_address_is_refused_before_anything_is_asked(settings, handle, line):
    for ask in (fetch, locate):
        with pytest.raises(ModelError) as caught:
            ask(settings(handle, download=True))
        assert str(caught.value).startswith(line)


def test_what_is_on_this_machine_is_not_fetched(settings, tmp_path):
    folder = model_archives.write_model(tmp_path / "model")
    with pytest.raises(ConfigError, match="is already on this machine"):
        fetch(settings(str(folder)))


def test_a_test_run_downloads_only_where_it_may(server, settings):
    address = server.address("/m/1", model())
    with pytest.raises(ModelUnavailableError) as caught:
        locate(settings(address))
    assert server.asked == []
    cache = settings(address).cache
    assert str(caught.value) == (
        f"model {address} is not on this machine (looked in {cache}); "
        f"to download it: pytest-imgdiff models fetch {address} --cache {cache}"
    )
    assert contents(locate(settings(address, download=True)).saved_model) == FILES
    locate(settings(address, download=True))
    assert len(server.asked) == 1


def test_a_download_that_fails_in_a_test_run_makes_the_model_unavailable(server, settings):
    address = server.address("/m/1")
    with pytest.raises(
        ModelUnavailableError, match=r"has no such model \(404 Not Found\) \(to try again: pytest-imgdiff"
    ):
        locate(settings(address, download=True))
