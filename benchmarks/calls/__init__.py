"""What is measured inside a worker: each function prepares, imports included, and returns what is then measured."""
