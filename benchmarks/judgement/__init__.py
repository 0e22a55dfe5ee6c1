"""Rules compared with the judgement of a careful person: pairs of rendered pages with a known truth, and a table.

`templates` holds the pages, `changes` what is changed in them, `generate` renders both and writes the truth, `rules`
asks pytest-imgdiff and its rivals, `table` counts who is right, `wrong` draws the pairs that a rule gets wrong,
`kinds` counts which kind each change is taken for.
"""
