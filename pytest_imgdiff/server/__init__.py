"""``pytest-imgdiff serve``: a report that applies decisions immediately, and a page that compares uploaded images."""
