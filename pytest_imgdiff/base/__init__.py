"""The lowest layer, which all others import: data, errors, text and files."""
