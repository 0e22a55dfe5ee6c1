"""The speed of pytest-imgdiff beside that of others, on the same files in one run: ``python -m benchmarks``.

`benchmarks.goals` says what is to be held, each module of `benchmarks.subjects` measures one part of it, and
`benchmarks.table` says what was met. The process that leads holds no picture and imports nothing but Python's own
library, so that what it starts inherits little from it; ours and each rival are measured in processes of their own.
"""
