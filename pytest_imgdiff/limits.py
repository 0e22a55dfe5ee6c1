"""How large a picture may be, and what a pair may take, where nobody says otherwise."""

from __future__ import annotations

DEFAULT_MAX_PIXELS = 100_000_000
"""Width x height, of what is decoded."""
DEFAULT_MEMORY = 1 << 30
"""Bytes that a pair may take while it is compared."""
