"""Feeds damaged and odd input to every function of the compiled core, built with AddressSanitizer and UBSan.

    python -m benchmarks.fuzz --seconds 120 --seed 1
    python -m benchmarks.fuzz --seed 1 --round 371 --seconds 0     one round again
    python -m benchmarks.fuzz --seconds 120 --threads              threads in all functions, under ThreadSanitizer

An overrun ends the process with the sanitizer's report. A PNG file that the core accepts is decoded by the reference as
well, which has to find the same pixels; one that differs, or that the reference refuses, is written to the folder
that ``--found`` names. The functions that work on pixels are in `benchmarks.fuzz_kernels`. The exit code is 1 where
anything was found. Needs GCC with its sanitizers, and the extra test.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import os
import random
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer", "-g", "-O1")
THREAD_SANITIZER = ("-fsanitize=thread", "-fno-omit-frame-pointer", "-g", "-O1")
_SMALL_BANDS = ("-DCORE_BAND_BYTES=3000",)
THREADS = 4
_FOLDER = "IMGDIFF_FUZZED"
_ROUND = "round"
"""The file, beside the compiled core, that holds the number of the round under way: a crash leaves nothing else."""
_SIZES = ((1, 1), (1, 300), (300, 1), (7, 9), (33, 40), (200, 60), (3, 900), (17, 17), (64, 64), (2000, 8))
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_LAST_FILTER, _PALETTE = 4, 3
_NO_TRIAL = ("fail_after", "instructions")
"""The functions that read nothing: every other one has a trial."""


def main() -> int:
    """Read the command line; build the core, and start the process that the sanitizers watch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--round", type=int, default=0, metavar="N", help="begin with this round of the seed")
    parser.add_argument("--threads", action="store_true", help="under ThreadSanitizer, without faults")
    parser.add_argument("--found", type=Path, default=Path("fuzzed"), help="where files are written that say something")
    options = parser.parse_args()
    if folder := os.environ.get(_FOLDER):
        return _run_threads(Path(folder), options) if options.threads else _fuzz(Path(folder), options)
    from hatch_build import MODULE, compile_core

    sanitizers = (*(THREAD_SANITIZER if options.threads else (*SANITIZERS, "-DCORE_FAULTS")), *_SMALL_BANDS)
    with tempfile.TemporaryDirectory() as scratch:
        compile_core(ROOT / "pytest_imgdiff" / "_core", Path(scratch) / MODULE, *sanitizers)
        library = subprocess.run(  # noqa: S603 - the compiler
            ["gcc", f"-print-file-name=lib{'tsan' if options.threads else 'asan'}.so"],  # noqa: S607 - on the PATH
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        # Python itself leaks, and libraries without the sanitizer allocate before it is there. Who asks for very much
        # memory gets none.
        settings = {
            "LD_PRELOAD": library,
            "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=512",
            "TSAN_OPTIONS": "exitcode=66",
            "PYTHONMALLOC": "malloc",
        }
        command = [sys.executable, "-m", "benchmarks.fuzz", *sys.argv[1:]]
        environment = os.environ | settings | {_FOLDER: scratch, "IMGDIFF_CORE": "python"}
        code = subprocess.run(command, check=False, cwd=ROOT, env=environment).returncode  # noqa: S603 - this file
        place = Path(scratch, _ROUND)
        if code and place.is_file():
            print(
                f"round {place.read_text(encoding='utf-8')}: --seed {options.seed} --round N --seconds 0 runs it again"
            )
        return code


def _core_in(folder: Path) -> Any:
    sys.path.insert(0, str(folder))
    import native  # type: ignore[import-not-found]  # compiled into this folder just now

    return native


def _fuzz(folder: Path, options: argparse.Namespace) -> int:
    from benchmarks.fuzz_kernels import FoundError, Kernels

    native, counts = _core_in(folder), Counter[str]()
    kernels = Kernels(native, counts)
    end = time.monotonic() + options.seconds
    for number in itertools.count(options.round):
        (folder / _ROUND).write_text(str(number), encoding="utf-8")
        rng = random.Random(f"{options.seed}/{number}")  # noqa: S311 - not for secrets
        found = _files(native, rng, counts, options.found)
        for trial in kernels.trials:
            try:
                trial(rng)
            except FoundError as error:  # noqa: PERF203 - its cost is small beside that of a trial
                print(f"{trial.__name__}: {error}")
                found = True
        if found:
            return 1
        if time.monotonic() >= end:
            break
    if untried := sorted(
        name for name in vars(native) if not name.startswith("_") and name not in {*counts, *_NO_TRIAL}
    ):
        print(f"no trial calls {', '.join(untried)}")
        return 1
    print(f"{options.seconds:g} s, seed {options.seed}, {number + 1 - options.round} rounds, nothing found:")
    print("\n".join(f"{count:9} {what}" for what, count in sorted(counts.items())))
    return 0


def _files(native: Any, rng: random.Random, counts: Counter[str], found: Path) -> bool:
    """Feed a few PNG files to the core; return whether one says something, which is then written."""
    stream, file_of = _picture(rng)
    whole = file_of(stream)
    other_stream, other_of = _picture(rng) if rng.random() < 1 / 2 else (stream, file_of)
    other = other_of(other_stream)
    counts["PNG files, whole"] += 1
    if not _agrees(native, whole):
        return _told(found, whole, "a whole file is not decoded as the reference decodes it")
    for _ in range(4):
        damaged = _damaged(rng, stream, file_of)
        counts["PNG files, damaged"] += 1
        native.fail_after(rng.choice([-1, -1, -1, rng.randrange(20)]))
        for pair in ((damaged, other), (other, damaged), (damaged, damaged)):
            native.compare(*pair, rng.randrange(-1, 6), rng.choice([2**62, rng.randrange(10**5)]))
            size = int.from_bytes(pair[0][16:20], "big"), int.from_bytes(pair[0][20:24], "big")
            counted = None
            if all(size):
                counted = native.count(*pair, *size, 0.1, rng.random() < 1 / 2, 1, None, 1, None, 1, rng.randrange(4))
            if counted is not None and None in map(native.check, pair):
                native.fail_after(-1)
                return _told(found, damaged, "a damaged file is counted, and not accepted")
        native.fail_after(-1)
        if native.check(damaged) is not None:
            counts["PNG files, damaged and accepted"] += 1
            if not _agrees(native, damaged):
                return _told(found, damaged, "a damaged file is accepted, and the reference says otherwise")
    return False


def _run_threads(folder: Path, options: argparse.Namespace) -> int:
    """Have several threads call every function at once, on the same input; each has to find what one alone finds."""
    native = _core_in(folder)
    rng, rounds = random.Random(options.seed), 0  # noqa: S311 - not for secrets
    end = time.monotonic() + options.seconds
    with ThreadPoolExecutor(THREADS) as pool:
        while rounds == 0 or time.monotonic() < end:
            calls = _calls(native, rng)
            alone = [call() for call in calls]
            orders = [rng.sample(range(len(calls)), len(calls)) for _ in range(THREADS)]
            together = [[pool.submit(calls[place]) for place in order] for order in orders]
            found = [[call.result() for call in calls_of_one] for calls_of_one in together]
            if found != [[alone[place] for place in order] for order in orders]:
                print("a thread found something else than one alone")
                return 1
            rounds += 1
    print(
        f"{options.seconds:g} s, seed {options.seed}: {rounds} rounds of {THREADS} threads in {len(calls)} calls each"
    )
    return 0


def _calls(native: Any, rng: random.Random) -> list[Callable[[], Any]]:
    """Return one call of every function of the core; what they write into is their own."""
    import numpy as np

    from benchmarks.fuzz_kernels import filtered_png
    from pytest_imgdiff.comparison.colours import OF_PREMULTIPLIED, colours_of

    width, height = rng.choice(((64, 60), (300, 9), (130, 131)))
    size = width * height
    pixels = [bytes(rng.choices((0, 1, 90, 255), k=4 * size)) for _ in range(2)]
    heat = bytes(rng.choices((0, 0, 0, 9), k=size))
    stream, file_of = _picture(rng)
    file = file_of(stream)
    stored = [filtered_png(rng, np.frombuffer(side, np.uint8).reshape(height, width, 4)[..., :3]) for side in pixels]
    labels = b"".join(label.to_bytes(4, "little") for label in rng.choices(range(5), k=size))
    halves = b"".join(half.to_bytes(2, "little") for half in rng.choices(range(0x3C01), k=size))

    colours = [
        colours_of(np.frombuffer(side, np.uint8).reshape(height, width, 4), slice(0, width, 1)) for side in pixels
    ]
    colours = [side.reshape(-1, 4) for side in colours]
    digests = [bytes(native.line_digests(side, width, 0, width, height, 0)) for side in pixels]
    sides = [
        (side, bytes(native.line_ink(side, height, width, 16)[0]), own, None)
        for side, own in zip(pixels, digests, strict=True)
    ]
    costs, before = np.linspace(0, 1, 3 * height), [np.arange(height + 1.0)] * 2

    def heated(name: str, *arguments: Any) -> Callable[[], Any]:
        def call() -> Any:
            written = bytearray(size)
            return getattr(native, name)(*pixels, *arguments, written), written

        return call

    return [
        lambda: native.check(file),
        lambda: native.decode(file),
        lambda: native.compare(file, file, 1, 2**62)[:3],
        lambda: native.count(*stored, width, height, 0.1, 0, 1, None, 2, None, 1, 3),
        *(
            heated("perceptual", width, height, 0, height, 0.1, oklab, opaque, 1)
            for oklab in (0, 1)
            for opaque in (0, 1)
        ),
        heated("beyond_tolerance", size, 2),
        lambda: native.sums(*pixels, size),
        lambda: native.opaque(pixels[0]),
        lambda: native.most_in_window(heat, width, height, 8),
        lambda: native.regions(heat, width, height, 3),
        lambda: native.look(*pixels, height, width, 4, 1, 0, height, 0, width, 1),
        lambda: native.weigh(labels, halves, halves, 5),
        lambda: native.mask_png(heat, width, height),
        lambda: native.ssim(pixels[0][:size], pixels[1][:size], width, height, 1, 7, 0, height, heat, None),
        *(
            functools.partial(getattr(native, name), pixels[0], width, 0, width, height, columns)
            for name in ("line_digests", "line_sums")
            for columns in (0, 1)
        ),
        lambda: native.line_medians(pixels[0], height, width, 1 + width // 128),
        lambda: native.line_ink(pixels[0], height, width, 16),
        lambda: native.line_votes(*digests, bytes([1] * height)),
        lambda: native.line_costs(*sides, width, 1, (16, 1.0, 0.1, 25.0, 0.02, 1.5)),
        lambda: native.cheapest_lines(costs, np.array([-1, 0, 2]), *before, 3.0, 0.5, 1e-9),
        lambda: native.tile_hashes(pixels[0], width, 0, width, height),
        lambda: native.colours(pixels[0], width, 0, width, height, 1, 1 / 255, OF_PREMULTIPLIED),
        lambda: native.apart(*colours),
        lambda: native.commonest(colours[0], 64.0),
        lambda: native.maps(*colours, heat, 40.0, (0.35, 0.6, 0.12, 0.6, 1e-5)),
        lambda: native.moved(*colours, colours[1][:1], heat, width, height, 1, -2, 0.02, 0.05),
    ]


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


def _told(folder: Path, file: bytes, what: str) -> bool:
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{zlib.crc32(file):08x}.png"
    place.write_bytes(file)
    print(f"{place}: {what}")
    return True


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
