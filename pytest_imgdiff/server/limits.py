"""Limits of one server."""

from __future__ import annotations

from dataclasses import dataclass

MEGA = 1_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits beyond which requests are rejected.

    Attributes:
        upload_bytes: largest upload, all images together.
        json_bytes: largest JSON body.
        settings_bytes: largest settings field of an upload.
        pictures: most images of an upload, both sides together.
        name_length: longest name of an image, in characters.
        pixels: largest width x height that is decoded; imgdiff.yaml may set a lower limit.
        waiting: most jobs that wait or run at the same time.
        kept: most jobs whose results are kept; the least recently requested are removed first.
        kept_seconds: seconds for which a job is kept after the last request for it.
        connections: most requests at the same time.
        silence: timeout in seconds for a request's headers, and between two parts of its body.
        bytes_per_second: slowest allowed body.
    """

    upload_bytes: int = 200 * MEGA
    json_bytes: int = 16 * MEGA
    settings_bytes: int = 100_000
    pictures: int = 2000
    name_length: int = 500
    pixels: int = 100 * MEGA
    waiting: int = 8
    kept: int = 20
    kept_seconds: float = 3600
    connections: int = 32
    silence: float = 15
    bytes_per_second: int = 50_000
