"""``pytest-imgdiff serve``: a report whose decisions act at once, and pictures compared as they are uploaded."""
