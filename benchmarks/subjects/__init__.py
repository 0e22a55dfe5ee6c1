"""What is measured, one part of the goals a module: ``measure(bench)`` gives the rows of those that were asked for."""
