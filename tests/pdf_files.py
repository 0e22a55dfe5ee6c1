"""Small PDF files, written by hand: a page a line of text."""

from __future__ import annotations

import hashlib
import struct

WIDTH, HEIGHT = 300, 100
"""Of a page, in points."""


def pdf_of(*lines: str) -> bytes:
    """Return a PDF that has a page for each line of text."""
    kids = " ".join(f"{4 + 2 * page} 0 R" for page in range(len(lines)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(lines)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for page, line in enumerate(lines):
        drawing = f"BT /F1 24 Tf 20 40 Td ({line}) Tj ET"
        about = f"/MediaBox [0 0 {WIDTH} {HEIGHT}] /Contents {5 + 2 * page} 0 R"
        objects.append(f"<< /Type /Page /Parent 2 0 R {about} /Resources << /Font << /F1 3 0 R >> >> >>")
        objects.append(f"<< /Length {len(drawing)} >>\nstream\n{drawing}\nendstream")
    file, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(file))
        file += f"{number} 0 obj\n{content}\nendobj\n".encode()
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    end = f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(file)}\n%%EOF\n"
    return file + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{end}".encode()


_PADDING = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")


def encrypted_pdf(password: str) -> bytes:
    """Return a PDF of one empty page that opens with this password (RC4 of 40 bits, revision 2)."""
    padded = (password.encode() + _PADDING)[:32]
    owner = _rc4(hashlib.md5(padded, usedforsecurity=False).digest()[:5], padded)
    key = hashlib.md5(padded + owner + struct.pack("<i", -4) + b"id", usedforsecurity=False).digest()[:5]
    user = _rc4(key, _PADDING)
    locks = f"/Filter /Standard /V 1 /R 2 /P -4 /O <{owner.hex()}> /U <{user.hex()}>"
    trailer = f"/Encrypt << {locks} >> /ID [<{b'id'.hex()}> <{b'id'.hex()}>]"
    return pdf_of("").replace(b"trailer << ", f"trailer << {trailer} ".encode())


def _rc4(key: bytes, data: bytes) -> bytes:
    state, j = list(range(256)), 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    i = j = 0
    out = bytearray()
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)
