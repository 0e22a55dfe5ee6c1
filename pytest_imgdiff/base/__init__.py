"""What every other part stands on: data, errors, text and files."""
