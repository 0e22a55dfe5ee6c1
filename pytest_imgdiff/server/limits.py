"""How much one server takes on."""

from __future__ import annotations

from dataclasses import dataclass

MEGA = 1_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What is refused beyond.

    Attributes:
        upload_bytes: the largest upload, all its pictures together.
        json_bytes: the largest body of the endpoints that take JSON.
        settings_bytes: the largest text beside an upload's pictures.
        pictures: the most pictures of an upload, both sides together.
        name_length: the longest name of a picture, in characters.
        pixels: the largest width x height that is decoded; imgdiff.yaml may say less.
        waiting: the most jobs that wait or run at one time.
        kept: the most jobs whose results are kept; of more, those that were not looked at for longest are removed.
        kept_seconds: how long after it was last looked at a job is kept.
        connections: the most requests at one time.
        silence: seconds in which a request's head must be here, and between two parts of its body.
        bytes_per_second: the slowest body.
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
