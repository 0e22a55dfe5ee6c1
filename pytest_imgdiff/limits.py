"""How large a picture may be, and what a pair may take, where nobody says otherwise."""

from __future__ import annotations

DEFAULT_MAX_PIXELS = 100_000_000
"""Width x height, of what is decoded."""
DEFAULT_MEMORY = 2560 << 20
"""Bytes that a pair may take while it is compared: enough for two pictures of 100 megapixels and 8 bits."""
