"""imgdiff.yaml to `Policy`: each error is one message with file, line, column and key."""

from __future__ import annotations

from pytest_imgdiff.base.project import find_config
from pytest_imgdiff.config.globs import glob_matches, name_matches
from pytest_imgdiff.config.policy import MetricLookup, check_policy
from pytest_imgdiff.config.schema import json_schema
from pytest_imgdiff.config.settings import (
    BaselineSettings,
    ReportSettings,
    ScanSettings,
    Settings,
    load_settings,
)

__all__ = [
    "BaselineSettings",
    "MetricLookup",
    "ReportSettings",
    "ScanSettings",
    "Settings",
    "check_policy",
    "find_config",
    "glob_matches",
    "json_schema",
    "load_settings",
    "name_matches",
]
