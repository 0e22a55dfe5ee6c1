from typing_extensions import Buffer

def check(png: bytes, /) -> tuple[int, int] | None: ...
def decode(
    png: bytes, pixels: bytearray | None = None, top: int = 0, bottom: int = ..., /
) -> tuple[int, int, bytearray] | None: ...
def compare(
    expected: bytes, actual: bytes, near: int, most: int, /
) -> tuple[int, int, bytearray, bytearray | None, bytearray | None, bytearray | None] | None: ...
def count(
    expected: bytes,
    actual: bytes,
    width: int,
    height: int,
    threshold: float,
    oklab: bool,
    ignore_antialiasing: bool,
    heat: Buffer | None,
    tolerance: int,
    levels: Buffer | None,
    sums: bool,
    threads: int,
    /,
) -> tuple[bytearray, int, int, int, int, tuple[int, int, int, int, int]] | None: ...
def instructions() -> str: ...
def perceptual(
    expected: Buffer,
    actual: Buffer,
    width: int,
    height: int,
    first: int,
    last: int,
    threshold: float,
    oklab: bool,
    opaque: bool,
    ignore_antialiasing: bool,
    heat: Buffer | None,
    /,
) -> tuple[int, int] | None: ...
def beyond_tolerance(expected: Buffer, actual: Buffer, count: int, limit: int, heat: Buffer | None, /) -> int: ...
def sums(expected: Buffer, actual: Buffer, count: int, /) -> tuple[int, int, int, int, int]: ...
def opaque(pixels: Buffer, /) -> bool: ...
def most_in_window(heat: Buffer, width: int, height: int, side: int, /) -> int | None: ...
def look(
    first: Buffer,
    second: Buffer,
    height: int,
    width: int,
    channels: int,
    depth: int,
    top: int,
    bottom: int,
    left: int,
    right: int,
    shifts: bool,
    /,
) -> tuple[bytearray, bytearray, bytearray] | None: ...
def regions(
    heat: Buffer, width: int, height: int, distance: int, /
) -> list[tuple[int, int, int, int, int, int]] | None: ...
def weigh(
    labels: Buffer, unexplained: Buffer, contrast: Buffer, count: int, /
) -> tuple[bytearray, bytearray, bytearray] | None: ...
def ssim(
    expected: Buffer,
    actual: Buffer,
    width: int,
    height: int,
    channels: int,
    side: int,
    first: int,
    last: int,
    ignore: Buffer | None,
    heat: Buffer | None,
    /,
) -> int | None: ...
def mask_png(mask: Buffer, width: int, height: int, /) -> bytearray | None: ...
def line_digests(
    rows: Buffer, stride: int, left: int, width: int, height: int, columns: bool, /
) -> bytearray | None: ...
def line_medians(samples: Buffer, lines: int, count: int, step: int, /) -> bytearray | None: ...
def line_ink(samples: Buffer, lines: int, count: int, limit: int, /) -> tuple[bytearray, bytearray] | None: ...
def line_votes(first: Buffer, second: Buffer, content: Buffer, /) -> tuple[bytearray, int] | None: ...
def line_costs(
    one: tuple[Buffer, Buffer, Buffer, Buffer | None],
    two: tuple[Buffer, Buffer, Buffer, Buffer | None],
    width: int,
    offset: int,
    limits: tuple[int, float, float, float, float, float],
    /,
) -> bytearray | None: ...
def cheapest_lines(
    costs: Buffer,
    offsets: Buffer,
    content: Buffer,
    other_content: Buffer,
    change: float,
    skipped: float,
    rounding: float,
    /,
) -> tuple[list[tuple[int, int, int]], float, float] | None: ...
def tile_hashes(rows: Buffer, stride: int, left: int, width: int, height: int, /) -> bytearray | None: ...
def line_sums(rows: Buffer, stride: int, left: int, width: int, height: int, columns: bool, /) -> bytearray | None: ...
def colours(
    rows: Buffer,
    stride: int,
    left: int,
    width: int,
    height: int,
    step: int,
    scale: float,
    weights: tuple[float, ...],
    /,
) -> bytearray | None: ...
def apart(one: Buffer, two: Buffer, /) -> bytearray | None: ...
def commonest(colours: Buffer, steps: float, /) -> tuple[float, float, float, float] | None: ...
def maps(
    first: Buffer, second: Buffer, changed: Buffer, steps: float, limits: tuple[float, float, float, float, float], /
) -> bool | None: ...
def moved(
    one: Buffer,
    two: Buffer,
    fill: Buffer,
    changed: Buffer,
    width: int,
    height: int,
    across: int,
    down: int,
    seen: float,
    near: float,
    /,
) -> tuple[int, int]: ...
