"""Rejected requests: each of these could be sent by an attacker."""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
import zlib
from contextlib import ExitStack, suppress
from select import select
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.decided_report import NEW, OLD, Project
from tests.report_records import png
from tests.server_process import BOUNDARY, multipart, received, serving

pytest.importorskip("flask", reason="the extra serve brings Flask")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the server is ended by a signal that Windows lacks")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.server_process import Answer, Served

SECRET = b"nobody's business"
HARMLESS = {"decisions": []}
PAIR = [("expected", "a.png", OLD), ("actual", "a.png", NEW)]
HOSTILE_PAGE = b"<!DOCTYPE html><script src='assets/main.js'></script><img src=x onerror=alert(1)>hostile"
HOSTILE_SCRIPT = b"fetch('/api/accept', { method: 'POST' }); // hostile"
HOSTILE_DATA = {
    "a script": HOSTILE_SCRIPT,
    "a script after data": b'imgdiff.receive("details",{});alert(1);imgdiff.receive("details",{});',
    "a script in data": b'imgdiff.receive("details",{"shard":alert(1)});',
    "a script in the kind": b'imgdiff.receive("details"+alert(1),{});',
    "a text left open": b'imgdiff.receive("details",{"a":"`${alert(1)}`});',
    "a comment": b'imgdiff.receive("details",{}/**/);',
    "nested data": b'imgdiff.receive("details",' + b"[" * 100_000 + b");",
}
"""Reports come from anywhere; their scripts must not run with the right to accept."""


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below the folder, and what is in it."""
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """A served report with what must not be read beside it, and in it."""
    home = tmp_path_factory.mktemp("home")
    project = Project(home / "project")
    project.changed("menu")
    (home / "secret.png").write_bytes(SECRET)
    (project.root / "secret.txt").write_bytes(SECRET)
    report = project.report
    project.page()
    project.put(report / "index.html", HOSTILE_PAGE)
    project.put(report / "assets/main.js", HOSTILE_SCRIPT)
    project.put(report / "pictures/0-actual.png.js", HOSTILE_SCRIPT)
    for number, script in enumerate(HOSTILE_DATA.values(), 1):
        project.put(report / f"data/details-{number}.js", script)
    for name in ("records/run/main-1.jsonl", ".gitignore", ".env", "pictures/.hidden.png", "secret.json"):
        project.put(report / name, SECRET)
    for name in ("pictures/page.html", "pictures/drawing.svg", "data/page.html", "assets/page.html", "pictures/plain"):
        project.put(report / name, b"<script>alert(1)</script>" + SECRET)
    (report / "pictures/link.png").symlink_to(home / "secret.png")
    (report / "pictures/folder").symlink_to(home)
    (report / "data/details-900.js").symlink_to(home / "secret.png")
    return project


@pytest.fixture(scope="module")
def served(project) -> Iterator[Served]:
    """The server under attack; in the end it runs, has said nothing, and nothing has changed that it was near to."""
    home = project.root.parent
    before = tree(home)
    with serving(project.root, project.report) as served:
        yield served
        assert served.get("/api/version").status == 200
    assert tree(home) == before


@pytest.fixture(scope="module")
def job(served) -> str:
    """A finished upload of another user."""
    answer = served.upload(PAIR)
    assert answer.status == 202
    assert served.finished(answer.json["id"])["state"] == "done"
    return answer.json["id"]


def assert_refused(answer: Answer, status: int) -> None:
    assert answer.status == status
    assert SECRET not in answer.body
    assert b"Traceback" not in answer.body
    assert answer.header("X-Content-Type-Options") == "nosniff"
    assert answer.header("Set-Cookie") is None


# ---- Reading what is not served

PATHS = {
    "parent": "/../secret.txt",
    "parent in a folder": "/pictures/../../secret.txt",
    "parent, dots encoded": "/%2e%2e/secret.txt",
    "parent, all encoded": "/%2e%2e%2fsecret.txt",
    "parent, slash encoded": "/..%2fsecret.txt",
    "parent encoded twice": "/%252e%252e%252fsecret.txt",
    "parent with overlong UTF-8": "/%c0%ae%c0%ae/secret.txt",
    "parent with full-width dots": "/%ef%bc%8e%ef%bc%8e/secret.txt",
    "parent with a backslash": "/..%5csecret.txt",
    "parents with backslashes in a folder": "/pictures/..%5c..%5csecret.txt",
    "parent with a parameter": "/..;/secret.txt",
    "parent beyond a file": "/index.html/../../secret.txt",
    "many parents": "/" + "../" * 40 + "etc/passwd",
    "open bracket": "//[",
    "absolute": "//etc/passwd",
    "absolute, encoded": "/%2fetc%2fpasswd",
    "absolute in pictures": "/pictures//etc/passwd",
    "file address": "/file:///etc/passwd",
    "NUL at the end": "/pictures/0-actual.png%00",
    "NUL before an extension": "/secret.txt%00.png",
    "drive": "/C:/Windows/win.ini",
    "drive in pictures": "/pictures/C:%5cWindows%5cwin.ini",
    "network share": "/%5c%5clocalhost%5cC$%5cwin.ini",
    "device": "/pictures/CON",
    "device with an extension": "/pictures/nul.png",
    "second stream": "/pictures/0-actual.png::$DATA",
    "link to a file": "/pictures/link.png",
    "link to a folder": "/pictures/folder/secret.png",
    "link of a served name": "/data/details-900.js",
    "records": "/records/run/main-1.jsonl",
    "records in capitals": "/RECORDS/run/main-1.jsonl",
    "dot file": "/.gitignore",
    "dot file, encoded": "/%2eenv",
    "dot file among the pictures": "/pictures/.hidden.png",
    "file of a served kind": "/secret.json",
    "listing": "/pictures/",
    "listing without a slash": "/pictures",
    "listing of data": "/data/",
    "page among the pictures": "/pictures/page.html",
    "vector graphics": "/pictures/drawing.svg",
    "no extension": "/pictures/plain",
    "page among the data": "/data/page.html",
    "file as a folder": "/pictures/0-actual.png/",
    "template": "/server/upload.html.j2",
    "out of the server's own files": "/server/..%2fupload.html.j2",
    "script of the package": "/server/main.js",
    "out of the jobs": "/jobs/..%2f..%2fsecret.txt",
    "a job that is none": f"/jobs/{'0' * 32}/",
    "a job of no name": "/jobs//",
    "header in the path": "/a%0d%0aSet-Cookie:%20x=1",
    "header in a job's name": "/jobs/a%0d%0aSet-Cookie:%20x=1/x",
    "endpoint that is none": "/api/eval",
}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_path_that_is_not_served(served, path):
    assert_refused(served.get(path), 404)


def test_absolute_path_of_a_real_file(served, project):
    assert_refused(served.get("/" + quote(str(project.root / "secret.txt"))), 404)


@pytest.mark.parametrize("path", ["expected/0", "../secret.txt", "records/", ".gitignore", "%2e%2e/x"])
def test_what_an_upload_left_is_not_read(served, job, path):
    assert_refused(served.get(f"/jobs/{job}/{path}"), 404)


def test_one_job_does_not_lead_to_another(served, job):
    other = served.upload(PAIR).json["id"]
    served.finished(other)
    assert_refused(served.get(f"/jobs/{job}/..%2f{other}/results.json"), 404)


@pytest.mark.parametrize("name", ["0", "*", "..", "%2e%2e", "A" * 32, "' OR 1=1 --", "{{7*7}}"])
def test_guessed_job(served, name):
    assert_refused(served.get(f"/api/jobs/{quote(name, safe='%')}"), 404)


# ---- Another host, another site

HOSTS = {
    "another name": "evil.example",
    "another name with our port": "evil.example:{port}",
    "our name with another port": "127.0.0.1:1",
    "our name without a port": "127.0.0.1",
    "our address before another name": "127.0.0.1:{port}.evil.example",
    "our address as a user": "127.0.0.1:{port}@evil.example",
    "a trailing dot": "localhost.:{port}",
    "address as one number": "2130706433:{port}",
    "address of another network": "192.168.0.1:{port}",
    "empty": "",
    "two in one": "127.0.0.1:{port}, evil.example",
}


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
def test_wrong_host(served, host):
    assert_refused(served.get("/", Host=host.format(port=served.port)), 403)


def test_no_host(served):
    assert_refused(served.get("/", Host=None), 403)


def test_two_hosts(served):
    own = f"Host: 127.0.0.1:{served.port}\r\n"
    assert_refused(served.raw(f"GET / HTTP/1.1\r\n{own}Host: evil.example\r\n\r\n".encode()), 400)


@pytest.mark.parametrize("address", ["http://evil.example/", "http://127.0.0.1/", "*", "evil.example:443", "\\x", "?"])
def test_address_that_is_no_path(served, address):
    own = f"Host: 127.0.0.1:{served.port}\r\n\r\n"
    assert_refused(served.raw(f"GET {address} HTTP/1.1\r\n{own}".encode()), 400)


def test_forwarded_host_does_not_count(served):
    assert_refused(served.get("/", Host="evil.example", X_Forwarded_Host=f"127.0.0.1:{served.port}"), 403)


EMBEDDED = {
    "script": {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "script"},
    "picture": {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "image"},
    "request": {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "cors", "Sec_Fetch_Dest": "empty"},
    "frame": {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"},
    "another port": {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "image"},
}


@pytest.mark.parametrize("headers", EMBEDDED.values(), ids=EMBEDDED)
def test_embedded_by_another_site(served, headers):
    assert_refused(served.get("/results.json", **headers), 403)


WRITERS = {
    "no Origin": {"Origin": None},
    "Origin of nobody": {"Origin": "null"},
    "foreign Origin": {"Origin": "http://evil.example"},
    "Origin of another port": {"Origin": "http://127.0.0.1:1"},
    "Origin without the port": {"Origin": "http://127.0.0.1"},
    "Origin that begins with ours": {"Origin": "{own}.evil.example"},
    "Origin with a path": {"Origin": "{own}/"},
    "Origin of another name of ours": {"Origin": "http://localhost:{port}"},
    "Origin of an extension": {"Origin": "chrome-extension://abcdef"},
    "no token": {"X_Imgdiff_Token": None},
    "empty token": {"X_Imgdiff_Token": ""},
    "wrong token": {"X_Imgdiff_Token": "A" * 43},
    "half of the token": {"X_Imgdiff_Token": "{half}"},
    "token that is not ASCII": {"X_Imgdiff_Token": "\xff\xfe"},
    "token as a cookie": {"X_Imgdiff_Token": None, "Cookie": "X-Imgdiff-Token={token}"},
    "cross-site": {"Sec_Fetch_Site": "cross-site"},
    "same site, another port": {"Sec_Fetch_Site": "same-site"},
    "cross-site navigation": {
        "Sec_Fetch_Site": "cross-site",
        "Sec_Fetch_Mode": "navigate",
        "Sec_Fetch_Dest": "document",
    },
}


@pytest.mark.parametrize("path", ["/api/accept", "/api/compare"])
@pytest.mark.parametrize("headers", WRITERS.values(), ids=WRITERS)
def test_write_from_elsewhere(served, headers, path):
    token = served.token
    known = {"own": served.address, "port": served.port, "token": token, "half": token[:20]}
    filled = {name: value and value.format(**known) for name, value in headers.items()}
    answer = served.post(path, HARMLESS, **filled) if path == "/api/accept" else served.upload(PAIR, **filled)
    assert_refused(answer, 403)


def test_token_in_the_address(served):
    assert_refused(served.post(f"/api/accept?X-Imgdiff-Token={served.token}", HARMLESS, X_Imgdiff_Token=None), 403)


def test_two_origins(served):
    lines = f"Origin: {served.address}\r\nOrigin: http://evil.example\r\nX-Imgdiff-Token: {served.token}\r\n"
    head = f"POST /api/accept HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n{lines}Content-Length: 2\r\n\r\n{{}}"
    assert_refused(served.raw(head.encode()), 400)


def test_job_removed_from_elsewhere(served, job):
    assert_refused(served.post(f"/api/jobs/{job}/remove", {}, Origin="http://evil.example"), 403)
    assert served.get(f"/api/jobs/{job}").status == 200


PLAIN_FORMS = ["text/plain", "application/x-www-form-urlencoded", "application/json-patch+json", "text/html", None]


@pytest.mark.parametrize("kind", PLAIN_FORMS)
@pytest.mark.parametrize("path", ["/api/accept", "/api/compare"])
def test_content_that_any_form_can_send(served, path, kind):
    assert_refused(served.post(path, HARMLESS, Content_Type=kind), 415)


def test_form_where_json_is_wanted(served):
    assert_refused(
        served.post("/api/accept", multipart(PAIR), Content_Type=f"multipart/form-data; boundary={BOUNDARY}"), 415
    )


# ---- Methods


@pytest.mark.parametrize("path", ["/api/accept", "/api/compare", f"/api/jobs/{'0' * 32}/remove"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_writing_by_reading(served, path, method):
    assert_refused(served.request(method, path, {}), 405)


@pytest.mark.parametrize(
    "headers", [{"X_HTTP_Method_Override": "POST"}, {"X_HTTP_Method": "POST"}, {"X_Method_Override": "POST"}]
)
def test_method_overridden(served, headers):
    assert_refused(served.get("/api/accept?_method=POST", **headers), 405)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "PROPFIND", "POST"])
@pytest.mark.parametrize("path", ["/", "/pictures/0-actual.png"])
def test_method_that_files_do_not_have(served, method, path):
    assert_refused(
        served.request(method, path, {"Content-Type": "application/json", **served.credentials()}, b"{}"), 405
    )


def test_connect(served):
    assert_refused(served.raw(b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n"), 400)


# ---- Bodies


def head_of_a_write(served: Served, *lines: str, path: str = "/api/accept") -> bytes:
    own = [f"Host: 127.0.0.1:{served.port}", "Content-Type: application/json"]
    own += [f"{name}: {value}" for name, value in served.credentials().items()]
    return "\r\n".join([f"POST {path} HTTP/1.1", *own, *lines, "", ""]).encode()


LENGTHS = {
    "larger than any upload": ("Content-Length: 999999999", 413),
    "larger than any number": ("Content-Length: " + "9" * 400, 400),
    "larger than JSON may be": ("Content-Length: 17000000", 413),
    "negative": ("Content-Length: -1", 400),
    "with a sign": ("Content-Length: +2", 400),
    "no number": ("Content-Length: 0x10", 400),
    "two": ("Content-Length: 2\r\nContent-Length: 30", 400),
    "chunked": ("Transfer-Encoding: chunked", 411),
    "chunked in disguise": ("Transfer-Encoding: gzip, chunked", 411),
    "chunked and with a length": ("Content-Length: 2\r\nTransfer-Encoding: chunked", 411),
    "no length": ("Connection: close", 400),
}


@pytest.mark.parametrize(("line", "status"), LENGTHS.values(), ids=LENGTHS)
def test_length_of_the_body(served, line, status):
    assert_refused(served.raw(head_of_a_write(served, line) + b"{}"), status)


def test_chunks_without_end(served):
    head = head_of_a_write(served, "Transfer-Encoding: chunked", path="/api/compare")
    assert_refused(served.raw(head + b"10000\r\n" + b"x" * 65536 + b"\r\n"), 411)


def test_body_that_ends_early(served):
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        connection.sendall(head_of_a_write(served, "Content-Length: 500") + b'{"decisions": [')
        connection.shutdown(socket.SHUT_WR)
        assert_refused(received(connection), 400)


JSONS = {
    "none": b"",
    "no JSON": b"decisions=[]",
    "not UTF-8": b'{"decisions": ["\xff"]}',
    "UTF-16": '{"decisions": []}'.encode("utf-16"),
    "a list": b"[]",
    "nested": b'{"decisions": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "nested objects": b'{"a":' * 100_000,
    "a key twice": b'{"decisions": [], "dry_run": true, "dry_run": false}',
    "an unknown key": b'{"decisions": [], "__class__": "os"}',
    "a missing key": b'{"dry_run": true}',
    "a wrong type": b'{"decisions": [], "dry_run": "no"}',
    "infinity": b'{"decisions": [Infinity]}',
    "no number": b'{"decisions": [NaN]}',
    "a number of many digits": b'{"decisions": [' + b"9" * 10_000 + b"]}",
    "more decisions than any report has": b'{"decisions": [' + b"0," * 200_000 + b"0]}",
    "a decision that is none": b'{"decisions": [{"name": "menu", "decision": "delete"}]}',
    "two values": b"{}{}",
}


@pytest.mark.parametrize("body", JSONS.values(), ids=JSONS)
def test_json_that_is_not_meant(served, body):
    assert_refused(served.post("/api/accept", body), 400)


MANY_PARTS = [("expected", f"{number}.png", OLD) for number in range(2005)]
FORMS = {
    "too many parts": (MANY_PARTS, 413),
    "a text that is too long": ([("settings", None, b" " * 200_000), *PAIR], 413),
    "an unknown file": ([("evil", "a.png", OLD), *PAIR], 400),
    "an unknown text": ([("path", None, b"/etc/passwd"), *PAIR], 400),
    "settings twice": ([("settings", None, b"{}"), ("settings", None, b"{}"), *PAIR], 400),
    "one name twice": ([("expected", "a.png", OLD), ("expected", "a.png", OLD)], 400),
    "nothing": ([], 400),
    "a picture as a text": ([("expected", None, OLD)], 400),
}


@pytest.mark.parametrize(("parts", "status"), FORMS.values(), ids=FORMS)
def test_form_that_is_not_meant(served, parts, status):
    assert_refused(served.upload(parts), status)


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "multipart/form-data; boundary=other", 'multipart/form-data; boundary=""']
)
def test_form_without_its_boundary(served, kind):
    assert_refused(served.upload(PAIR, Content_Type=kind), 400)


SETTINGS = {
    "a file to read": b'{"metrics": {"classification": {"labels": "/etc/passwd"}}}',
    "a model to download": b'{"metrics": {"embedding_cosine": 0.1}, "model": "http://evil.example/x"}',
    "a mask of a file": b'{"ignore": [{"mask": "/etc/passwd"}]}',
    "a mask that is a path": b'{"mask": "../../secret.txt"}',
    "a metric that is none": b'{"metrics": {"os.system": 1}}',
    "a limit out of range": b'{"metrics": {"ssim": 2}}',
    "a limit that is a text": b'{"metrics": {"ssim": "1; DROP TABLE"}}',
    "no metric": b'{"metrics": {}}',
    "a size that is none": b'{"size": "__import__"}',
    "a key twice": b'{"size": "pad", "size": "crop"}',
    "nested": b"[" * 50_000,
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_settings_that_are_not_meant(served, settings):
    assert_refused(served.upload([("settings", None, settings), *PAIR]), 400)


NAMES = {
    "parent": "../../a.png",
    "parent inside": "a/../../b.png",
    "absolute": "/etc/a.png",
    "here": "./a.png",
    "empty folder": "a//b.png",
    "folder": "a/",
    "drive": "C:/a.png",
    "drive with a backslash": "C:\\\\a.png",
    "backslash": "..\\\\..\\\\a.png",
    "NUL": "a.png\0.html",
    "control character": "a\x1b[31m.png",
    "too long": "a" * 600 + ".png",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_name_that_nobody_means(served, name):
    assert_refused(served.upload([("expected", name, OLD), ("actual", "a.png", NEW)]), 400)


@pytest.mark.parametrize(
    "name", ["con.png", "NUL", "aux.png", ".htaccess", "~root", "$(id).png", "<script>.png", "a;b|c.png"]
)
def test_name_that_is_only_shown(served, name):
    job = served.upload([("expected", name, OLD), ("actual", name, NEW)]).json["id"]
    assert served.finished(job)["state"] == "done"
    results = served.get(f"/jobs/{job}/results.json").json
    assert results["comparisons"][0]["name"] == name
    assert served.get(f"/jobs/{job}/{quote(results['comparisons'][0]['artefacts']['actual'])}").body == NEW


FILES = {
    "empty": b"",
    "text": b"hello",
    "PostScript": b"%!PS-Adobe-3.0\n(/etc/passwd) (r) file 1000 string readstring pop print quit\n",
    "EPS": b"\xc5\xd0\xd3\xc6" + bytes(60),
    "SVG with a script": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "HTML": b"<!DOCTYPE html><script>alert(1)</script>",
    "HTML in UTF-16": "<html><script>alert(1)</script>".encode("utf-16"),
    "XML with an entity": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "PDF": b"%PDF-1.7\n1 0 obj",
    "ZIP": b"PK\x03\x04" + bytes(60),
    "gzip": b"\x1f\x8b" + bytes(60),
    "program": b"\x7fELF" + bytes(60),
    "script": b"#!/bin/sh\nid\n",
    "pickle": b"\x80\x04\x95" + bytes(60),
    "video": b"\0\0\0\x18ftypmp42" + bytes(60),
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_file_that_is_no_picture(served, content):
    assert_refused(served.upload([("expected", "a.png", OLD), ("actual", "a.png", content)]), 415)


def png_of(width: int, height: int, data: bytes) -> bytes:
    """A PNG that claims this size, of 1 bit a pixel."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b"")


BROKEN = {
    "decompression bomb": png_of(100_000, 100_000, bytes(20_000_000)),
    "more data than pixels": png_of(8, 8, bytes(20_000_000)),
    "too few rows": png_of(8, 8, bytes(4)),
    "cut off": NEW[:-20],
    "PNG of its first bytes only": b"\x89PNG\r\n\x1a\n" + b"<script>alert(1)</script>",
    "JPEG of its first bytes only": b"\xff\xd8\xff\xe0<script>alert(1)</script>",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_picture_that_is_broken_is_told_and_never_served(served, content):
    job = served.upload([("expected", "a.png", OLD), ("actual", "a.png", content)]).json["id"]
    told = served.finished(job)
    (comparison,) = served.get(f"/jobs/{job}/results.json").json["comparisons"]
    assert (told["state"], told["passed"], comparison["verdict"]) == ("done", False, "broken")
    assert "actual" not in comparison["artefacts"]


def test_picture_that_is_a_page_too_is_served_as_a_picture(served):
    content = b"<html><script>alert(1)</script></html>"
    comment = struct.pack(">I", len(content)) + b"tEXt" + content + struct.pack(">I", zlib.crc32(b"tEXt" + content))
    both = NEW[:33] + comment + NEW[33:]
    job = served.upload([("expected", "a.html", OLD), ("actual", "a.html", both)]).json["id"]
    served.finished(job)
    (comparison,) = served.get(f"/jobs/{job}/results.json").json["comparisons"]
    answer = served.get(f"/jobs/{job}/{quote(comparison['artefacts']['actual'])}")
    assert (answer.header("Content-Type"), answer.header("X-Content-Type-Options")) == ("image/png", "nosniff")


# ---- Accepting what was not looked at

LIES = {
    "a baseline outside": {"baseline": "../secret.png"},
    "an absolute baseline": {"baseline": "/etc/imgdiff-attack.png"},
    "another baseline": {"baseline": "baselines/other.png"},
    "a baseline that is no picture": {"baseline": "conftest.py"},
    "a source outside": {"source": "../secret.txt"},
    "a source that is a link outside": {"source": "pictures/link.png"},
    "another digest": {"digest": "0" * 64},
    "another digest of what is replaced": {"replaces": "0" * 64},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_acceptance_that_the_report_does_not_say(served, project, lie):
    (decision,) = project.decisions()
    answer = served.post("/api/accept", {"decisions": [{**decision, "accepts": {**decision["accepts"], **lie}}]})
    assert (answer.status, answer.json["done"]) == (200, False)
    assert answer.json["results"][0]["result"] == "refused"


def test_dry_run_writes_nothing(served, project):
    answer = served.post("/api/accept", {"decisions": project.decisions(), "dry_run": True})
    assert answer.json["results"][0]["result"] == "would be accepted"


# ---- Headers, and too much of everything


def test_header_of_a_megabyte(served):
    assert_refused(served.get("/", X_Large="x" * 1_000_000), 431)


def test_headers_without_end(served):
    assert_refused(served.request("GET", "/", {f"X-{number}": "x" for number in range(500)}), 431)


def test_address_of_a_megabyte(served):
    assert_refused(served.get("/" + "a" * 1_000_000), 414)


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"<script>alert(1)</script> / HTTP/1.1 x\r\n\r\n",
    ],
)
def test_what_is_no_request(served, request_line):
    answer = served.raw(request_line)
    assert answer.status in (0, 400, 505)
    assert b"script" not in answer.body


def until(status: int, ask: Callable[[], Answer]) -> Answer:
    """Ask again until the answer is this one: what other clients do takes a moment to arrive."""
    for _ in range(100):
        answer = ask()
        if answer.status == status:
            return answer
        time.sleep(0.05)
    pytest.fail(f"never {status}: {answer}")


def test_too_many_uploads(served):
    """Eight that never finish are waited for; the ninth is refused."""
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    credentials = "".join(f"{name}: {value}\r\n" for name, value in served.credentials().items())
    head = f"POST /api/compare HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nContent-Type: {kind}\r\nContent-Length: 5000\r\n{credentials}\r\n"
    with ExitStack() as stack:
        for _ in range(8):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", served.port)))
            connection.sendall(head.encode())
        assert_refused(until(429, lambda: served.upload(PAIR)), 429)
    until(202, lambda: served.upload(PAIR))  # they have gone


def test_too_many_connections(served):
    with ExitStack() as stack:
        for _ in range(32):
            stack.enter_context(socket.create_connection(("127.0.0.1", served.port)))
        until(503, lambda: served.get("/api/version"))
    until(200, lambda: served.get("/api/version"))  # they have gone


# ---- Slow clients


@pytest.fixture(scope="module")
def impatient(tmp_path_factory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("impatient"), "--timeout", "0.5", "--upload-limit", "0.01") as served:
        yield served


def dribble(served: Served, head: bytes, drop: bytes) -> bytes:
    """Send a drop every tenth of a second until the server has had enough; return what it said."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        connection.sendall(head)
        with suppress(ConnectionError):
            while not select([connection], [], [], 0.1)[0]:
                connection.sendall(drop)
        return received(connection).body


SLOW = {
    "silent from the start": (b"", b""),
    "silent in a header": (b"GET / HTTP/1.1\r\nHost: 127", b""),
    "a header without end": (b"GET / HTTP/1.1\r\nX: ", b"x"),
    "headers without end": (b"GET / HTTP/1.1\r\n", b"X: y\r\n"),
}


@pytest.mark.parametrize(("head", "drop"), SLOW.values(), ids=SLOW)
def test_slow_head(impatient, head, drop):
    started = time.monotonic()
    assert dribble(impatient, head, drop) == b""
    assert time.monotonic() - started < 10
    assert impatient.get("/api/version").status == 200


@pytest.mark.parametrize("drop", [b"", b" "], ids=["silent", "a byte at a time"])
def test_slow_body(impatient, drop):
    started = time.monotonic()
    assert b"accepted" not in dribble(impatient, head_of_a_write(impatient, "Content-Length: 5000"), drop)
    assert time.monotonic() - started < 10


def test_upload_larger_than_it_was_told_to_take(impatient):
    assert_refused(impatient.upload([("expected", "a.png", png(8, 8, (1, 2, 3)) + bytes(200_000))]), 413)


def test_nothing_to_accept_where_no_report_is_served(impatient):
    assert_refused(impatient.post("/api/accept", HARMLESS), 404)
    assert_refused(impatient.get("/results.json"), 404)


def test_token_is_on_our_pages_and_nowhere_else(served):
    token = served.token.encode()
    for path in ("/results.json", "/api/version", "/api/metrics", "/nothing"):
        assert token not in served.get(path).body
    assert json.loads(served.get("/api/version").body)["name"] == "pytest-imgdiff"
