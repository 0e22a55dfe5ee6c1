"""Feeds damaged and odd PNG files to the compiled core, built with AddressSanitizer and UBSan.

    python -m benchmarks.fuzz --seconds 120 --seed 1

An overrun ends the process with the sanitizer's report. A file that the core accepts is decoded by the reference as
well, which has to find the same pixels; one that differs, or that the reference refuses, is written to the folder
that ``--found`` names, and the exit code is 1. Needs GCC with its sanitizers, and the extra test.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer", "-g", "-O1")
_FOLDER = "IMGDIFF_FUZZED"
_SIZES = ((1, 1), (1, 300), (300, 1), (7, 9), (33, 40), (200, 60), (3, 900), (17, 17), (64, 64), (2000, 8))
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_LAST_FILTER, _PALETTE = 4, 3


def main() -> int:
    """Read the command line; build the core, and start the process that the sanitizers watch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--found", type=Path, default=Path("fuzzed"), help="where files are written that say something")
    options = parser.parse_args()
    if folder := os.environ.get(_FOLDER):
        return _fuzz(Path(folder), options.seconds, options.seed, options.found)
    from hatch_build import compile_core

    with tempfile.TemporaryDirectory() as scratch:
        compile_core(ROOT / "pytest_imgdiff" / "_core", Path(scratch) / "native.abi3.so", *SANITIZERS, "-DCORE_FAULTS")
        library = subprocess.run(
            ["gcc", "-print-file-name=libasan.so"],  # noqa: S607 - the compiler on the PATH
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        # Python itself leaks, and libraries without the sanitizer allocate before it is there.
        settings = {"LD_PRELOAD": library, "ASAN_OPTIONS": "detect_leaks=0", "PYTHONMALLOC": "malloc"}
        command = [sys.executable, "-m", "benchmarks.fuzz", *sys.argv[1:]]
        environment = os.environ | settings | {_FOLDER: scratch, "IMGDIFF_CORE": "python"}
        return subprocess.run(command, check=False, cwd=ROOT, env=environment).returncode  # noqa: S603 - this file


def _fuzz(folder: Path, seconds: float, seed: int, found: Path) -> int:
    sys.path.insert(0, str(folder))
    import native  # type: ignore[import-not-found]  # compiled into this folder just now

    rng, counts = random.Random(seed), Counter[str]()  # noqa: S311 - not for secrets
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        stream, file_of = _picture(rng)
        whole = file_of(stream)
        other_stream, other_of = _picture(rng) if rng.random() < 1 / 2 else (stream, file_of)
        other = other_of(other_stream)
        counts["whole"] += 1
        if not _agrees(native, whole):
            return _told(found, whole, "a whole file is not decoded as the reference decodes it")
        for _ in range(4):
            damaged = _damaged(rng, stream, file_of)
            counts["damaged"] += 1
            native.fail_after(rng.choice([-1, -1, -1, rng.randrange(20)]))
            for pair in ((damaged, other), (other, damaged), (damaged, damaged)):
                native.compare(*pair, rng.randrange(-1, 6), rng.choice([2**62, rng.randrange(10**5)]))
            native.fail_after(-1)
            if native.check(damaged) is not None:
                counts["damaged and accepted"] += 1
                if not _agrees(native, damaged):
                    return _told(found, damaged, "a damaged file is accepted, and the reference says otherwise")
    print(f"{seconds:g} s, seed {seed}: {dict(counts)}")
    return 0


def _agrees(native: Any, file: bytes) -> bool:
    """Whether the core accepts a file, and the reference finds the same pixels in it."""
    from pytest_imgdiff import BrokenImageError
    from pytest_imgdiff.images import decode, read

    decoded = native.decode(file)
    try:
        [image] = decode(read(file))
    except BrokenImageError:
        return False
    return decoded is not None and native.check(file) == decoded[:2] and image.pixels.tobytes() == bytes(decoded[2])


def _told(folder: Path, file: bytes, what: str) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{zlib.crc32(file):08x}.png"
    place.write_bytes(file)
    print(f"{place}: {what}")
    return 1


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def _picture(rng: random.Random) -> tuple[bytes, Callable[[bytes], bytes]]:
    """Return the compressed rows of some picture, and what makes a file of compressed rows."""
    width, height = rng.choice(_SIZES)
    colour = rng.choice(tuple(_CHANNELS))
    size = width * _CHANNELS[colour]
    row = rng.randbytes(size)
    kind, only = rng.randrange(3), rng.choice((None, 0, 1, 2, 3, 4))
    rows = bytearray()
    for _ in range(height):
        if kind == 0 or (kind == 1 and rng.random() < 1 / 4):
            row = rng.randbytes(size)
        rows.append(rng.randint(0, _LAST_FILTER) if only is None else only)
        rows += row
    window = rng.choice((15, 15, 9))
    deflater = zlib.compressobj(rng.randrange(10), zlib.DEFLATED, window, 9, rng.choice((0, 0, 2, 3, 4)))
    head = _chunk(b"IHDR", width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, colour, 0, 0, 0]))
    palette = _chunk(b"PLTE", rng.randbytes(768)) if colour == _PALETTE else b""
    cuts = [rng.random() for _ in range(rng.randrange(4))]

    def file_of(stream: bytes) -> bytes:
        places = [0, *sorted(int(cut * len(stream)) for cut in cuts), len(stream)]
        data = b"".join(_chunk(b"IDAT", stream[one:two]) for one, two in itertools.pairwise(places))
        return b"\x89PNG\r\n\x1a\n" + head + palette + data + _chunk(b"IEND", b"")

    return deflater.compress(rows) + deflater.flush(), file_of


def _damaged(rng: random.Random, stream: bytes, file_of: Callable[[bytes], bytes]) -> bytes:
    """Damage the compressed rows, whose chunks' CRCs are right all the same, or the file."""
    changed, how = bytearray(stream), rng.random()
    if how < 1 / 2:
        for _ in range(rng.choice((1, 1, 2, 5))):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    elif how < 5 / 8:
        del changed[rng.randrange(len(changed)) :]
    elif how < 3 / 4:
        changed = bytearray(b"\x78\x01" + rng.randbytes(rng.randrange(400)))
    elif how < 7 / 8:
        changed += rng.randbytes(rng.randrange(1, 9))
    else:
        file = bytearray(file_of(stream))
        file[rng.randrange(len(file))] = rng.randrange(256)
        return bytes(file[: rng.randrange(len(file))] if rng.random() < 1 / 2 else file)
    return file_of(bytes(changed))


if __name__ == "__main__":
    sys.exit(main())
