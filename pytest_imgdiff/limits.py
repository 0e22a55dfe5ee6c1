"""How large a picture may be where nobody says otherwise."""

from __future__ import annotations

DEFAULT_MAX_PIXELS = 100_000_000
"""Width x height, of what is decoded."""
