"""Artificial SavedModels, and archives of them: valid ones and ones that must not be unpacked."""

from __future__ import annotations

import gzip
import io
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILES = {
    "saved_model.pb": b"\x08\x01a graph" * 50,
    "variables/variables.index": b"an index",
    "variables/variables.data-00000-of-00001": bytes(range(256)) * 40,
}


def write_model(folder: Path, files: dict[str, bytes] = FILES) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def member(name: str, **attributes: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for key, value in attributes.items():
        setattr(info, key, value)
    return info


def folder(name: str) -> tarfile.TarInfo:
    return member(name, type=tarfile.DIRTYPE, mode=0o755)


def tar(*members: tarfile.TarInfo | tuple[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for item in members:
            if isinstance(item, tarfile.TarInfo):
                archive.addfile(item, io.BytesIO(bytes(item.size)))
            else:
                archive.addfile(member(item[0], size=len(item[1]), mtime=1.5), io.BytesIO(item[1]))
    return stream.getvalue()


def good_tar(form: int = tarfile.PAX_FORMAT) -> bytes:
    return tar(folder("./"), folder("./variables"), *((f"./{name}", data) for name, data in FILES.items()), form=form)


def good() -> bytes:
    return gzip.compress(good_tar())


def with_member(*members: tarfile.TarInfo | tuple[str, bytes]) -> Callable[[], bytes]:
    return lambda: gzip.compress(tar(*FILES.items(), *members))


def pax_bomb() -> bytes:
    """A header of 100 MB, which a careless reader takes into memory."""
    header = member("././@PaxHeader", type=tarfile.XHDTYPE, size=100_000_000).tobuf(tarfile.USTAR_FORMAT)
    return gzip.compress(header + bytes(100_000_000) + good_tar(), 1)


def huge_size() -> bytes:
    """A file that says it has 8 GB."""
    return gzip.compress(member("big", size=8 << 30).tobuf(tarfile.GNU_FORMAT) + bytes(4096))


def negative_size() -> bytes:
    header = bytearray(member("big").tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 12
    header[148:156] = b"%06o\0 " % (256 + sum(header[:148]) + sum(header[156:512]))
    return gzip.compress(bytes(header) + bytes(1024))


def wrong_checksum_of_gzip() -> bytes:
    data = bytearray(good())
    data[-8] ^= 1
    return bytes(data)


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "..": (with_member(("../evil", b"x")), "a path that leads out of its folder: ../evil"),
    "inner ..": (with_member(("variables/../../evil", b"x")), "a path that leads out of its folder"),
    "absolute": (with_member(("/tmp/evil", b"x")), "a path that leads out of its folder: /tmp/evil"),  # noqa: S108 - refused
    "drive": (with_member(("C:evil", b"x")), "a path that leads out of its folder: C:evil"),
    "backslash": (with_member(("..\\evil", b"x")), "a path that leads out of its folder"),
    "control character": (with_member(("evil\x1b[2J", b"x")), r"a path that leads out of its folder: evil\x1b[2J"),
    "symbolic link": (
        with_member(member("link", type=tarfile.SYMTYPE, linkname="/etc"), ("link/evil", b"x")),
        "a symbolic link: link",
    ),
    "hard link": (with_member(member("link", type=tarfile.LNKTYPE, linkname="/etc/passwd")), "a hard link: link"),
    "device": (with_member(member("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3)), "a device: null"),
    "block device": (with_member(member("disk", type=tarfile.BLKTYPE)), "a device: disk"),
    "pipe": (with_member(member("pipe", type=tarfile.FIFOTYPE)), "a named pipe: pipe"),
    "unknown kind": (with_member(member("odd", type=b"V")), "a member of unknown kind: odd"),
    "set-user-id": (with_member(member("root", mode=0o4755)), "a set-user-id file: root"),
    "twice": (with_member(("saved_model.pb", b"other")), "contains a duplicate path: saved_model.pb"),
    "twice on some disks": (with_member(("SAVED_MODEL.PB", b"other")), "contains a duplicate path: SAVED_MODEL.PB"),
    "file into file": (with_member(("saved_model.pb/evil", b"x")), "has a file below another file"),
    "file over folder": (with_member(("variables", b"x")), "contains a duplicate path: variables"),
    "no name": (with_member(("./", b"x")), "a file without a name"),
    "deep": (with_member(("a/" * 100 + "evil", b"x")), "a path that is too long or too deep"),
    "long": (with_member(("a" * 2000, b"x")), "a path that is too long or too deep"),
    "bomb by size": (with_member(("zeros", bytes(20_000_000))), "larger than 10 MB when unpacked"),
    "bomb by trailing zeros": (
        lambda: gzip.compress(good_tar() + bytes(20_000_000)),
        "larger than 10 MB when unpacked",
    ),
    "bomb by header": (pax_bomb, "a header of 100000000 bytes"),
    "bomb by count": (with_member(*(folder(f"f{number}") for number in range(1001))), "more than 1000 files"),
    "8 GB promised": (huge_size, "larger than 10 MB when unpacked"),
    "negative size": (negative_size, "damaged (negative size)"),
    "one name for all": (
        lambda: gzip.compress(
            member("g", type=tarfile.XGLTYPE, size=512).tobuf() + b"15 path=../evi\n".ljust(512, b"\0")
        ),
        "global header with a name or size",
    ),
    "damaged pax header": (
        lambda: gzip.compress(member("x", type=tarfile.XHDTYPE, size=512).tobuf() + b"0 path=x\n".ljust(512, b"\0")),
        "damaged (pax header)",
    ),
    "cut off": (lambda: good()[:-200], "damaged or incomplete"),
    "cut off tar": (lambda: good_tar()[:-5000], "damaged or incomplete"),
    "cut off at a block": (lambda: gzip.compress(good_tar()[:1024]), "damaged or incomplete"),
    "wrong checksum": (wrong_checksum_of_gzip, "damaged or incomplete (CRC check failed"),
    "noise after gzip's header": (lambda: good()[:10] + bytes(range(256)) * 4, "damaged or incomplete"),
    "gzip of no tar": (lambda: gzip.compress(b"no tar " * 200), "damaged"),
    "empty": (lambda: b"", "not an archive, but empty"),
    "web page": (lambda: b"<!DOCTYPE html><html>Sign in</html>", "not an archive, but a web page"),
    "JSON": (lambda: b'{"error": "gone"}', """not an archive, but data that starts with b'{"error": "gone"'"""),
    "LFS pointer": (lambda: b"version https://git-lfs.github.com/spec/v1\n", "not an archive, but a Git LFS pointer"),
    "no model": (lambda: gzip.compress(tar(("readme.txt", b"x"))), "not a SavedModel: it has no saved_model.pb"),
    "model one folder down": (
        lambda: gzip.compress(tar(("model/saved_model.pb", b"x"))),
        "it has no saved_model.pb at its top, but model/ has one",
    ),
    "empty graph": (lambda: gzip.compress(tar(("saved_model.pb", b""))), "its saved_model.pb is empty"),
}
"""Each with a part of the line that refuses it; unpacked sizes are limited to 10 MB."""
