"""``pytest-imgdiff models``: fetch, list, verify, export."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_imgdiff.base.errors import ConfigError, ImgdiffError, ModelError
from pytest_imgdiff.base.text import printable
from pytest_imgdiff.cli.parser import above_zero, print_table
from pytest_imgdiff.networks import ModelSettings, fetch, locate
from pytest_imgdiff.networks.locating import fetch_labels, keep_export, stored_models
from pytest_imgdiff.networks.settings import CLASSIFICATION, FEATURE_VECTOR, LABELS
from pytest_imgdiff.networks.store import cache_folder

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

_DONE, _FAILED = 0, 2
_DIGITS = 12
"""Characters of a digest that are shown."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = (
        "Manage the models of the category metrics. Exit code 0: done, 2: failed for at least one model."
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    fetching = verbs.add_parser("fetch", help="download models of TensorFlow Hub into the cache")
    listing = verbs.add_parser("list", help="list the models in the cache")
    verify = verbs.add_parser("verify", help="check the digests of cached models")
    export = verbs.add_parser("export", help="convert models to ONNX (needs TensorFlow)")
    for verb, default in (
        (fetching, "the default models"),
        (verify, "all in the cache"),
        (export, "the default models"),
    ):
        verb.add_argument(
            "handles", nargs="*", metavar="HANDLE", help=f"address, folder or archive (default: {default})"
        )
    for verb, act in ((fetching, _fetch), (listing, _list), (verify, _verify), (export, _export)):
        verb.set_defaults(verb=act)
        verb.add_argument(
            "--cache", metavar="DIR", help="the cache folder (default: $TFHUB_CACHE_DIR, else in the user's cache)"
        )
    export.add_argument(
        "--output", metavar="FILE", help="write the ONNX file of one model to FILE instead of the cache"
    )
    fetching.add_argument("--timeout", type=above_zero, metavar="S", help="seconds for a download (default: 300)")
    fetching.add_argument(
        "--labels",
        metavar="ADDRESS",
        help="download class labels from this URL (default: TensorFlow's list, with the default models)",
    )
    fetching.add_argument(
        "--connect-timeout", type=above_zero, metavar="S", help="seconds to wait for the server (default: 10)"
    )
    fetching.add_argument(
        "--max-megabytes", type=above_zero, metavar="MB", help="the largest download or model (default: 1000)"
    )


def run(options: argparse.Namespace) -> int:
    """Run the verb.

    Returns:
        0: done. 2: at least one model failed; a line on standard error reports why.
    """
    return int(options.verb(options))


def _settings(options: argparse.Namespace) -> ModelSettings:
    """Return the settings of the command line, without a model."""
    names = ("cache", "timeout", "connect_timeout", "max_megabytes")
    given = {name: getattr(options, name, None) for name in names}
    return ModelSettings("", **{name: value for name, value in given.items() if value is not None})


def _for_each(handles: Iterable[str], act: Callable[[str], str]) -> int:
    """Print the result for each model; continue after a failure."""
    return max((_attempt(act, handle) for handle in handles), default=_DONE)


def _attempt(act: Callable[[str], str], handle: str) -> int:
    try:
        print(act(handle))
    except ImgdiffError as error:
        print(f"pytest-imgdiff: {error}", file=sys.stderr)
        return _FAILED
    return _DONE


def _fetch(options: argparse.Namespace) -> int:
    settings = _settings(options)

    def act(handle: str) -> str:
        model = replace(settings, model=handle)
        verb = "fetched" if fetch(model) else "already in the cache"
        located = locate(model)
        return f"{verb}: {handle} ({_short(located.digest)}) in {printable(str(located.saved_model))}"

    code = _for_each(options.handles or [FEATURE_VECTOR, CLASSIFICATION], act)
    labels = options.labels or (None if options.handles else LABELS)
    if labels is None:
        return code
    return max(code, _attempt(lambda address: f"fetched: {printable(str(fetch_labels(settings, address)))}", labels))


def _list(options: argparse.Namespace) -> int:
    models = stored_models(options.cache)
    folder = printable(str(cache_folder(options.cache)))
    if not models:
        print(f"no models in {folder}; run pytest-imgdiff models fetch to download the default models")
        return _DONE
    rows = [("HANDLE", "MB", "SHA-256", "ONNX", "FOLDER")]
    rows += [
        (
            printable(model.handle or "(unknown)"),
            f"{model.size / 1e6:.1f}",
            "DAMAGED" if model.digest is None else _short(model.digest),
            "yes" if model.is_exported else "no",
            printable(str(model.folder)),
        )
        for model in models
    ]
    print_table(rows, sys.stdout)
    return _DONE


def _verify(options: argparse.Namespace) -> int:
    settings = _settings(options)
    if options.handles:
        return _for_each(options.handles, lambda handle: _verified(replace(settings, model=handle)))
    models = {printable(str(model.folder)): model for model in stored_models(options.cache, thorough=True)}
    if not models:
        print(f"no models in {printable(str(cache_folder(options.cache)))}")

    def act(folder: str) -> str:
        model = models[folder]
        handle = printable(model.handle or folder)
        if model.digest is None:
            raise ModelError(f"model {handle}: {model.damage}")
        return f"intact: {handle} ({_short(model.digest)})"

    return _for_each(models, act)


def _verified(settings: ModelSettings) -> str:
    located = locate(settings, thorough=True)
    return f"intact: {printable(settings.model)} ({_short(located.digest)})"


def _export(options: argparse.Namespace) -> int:
    handles = options.handles or [FEATURE_VECTOR, CLASSIFICATION]
    if options.output is not None and len(handles) != 1:
        raise ConfigError("--output needs exactly one model; pass its HANDLE")
    settings = _settings(options)
    return _for_each(handles, lambda handle: _exported(replace(settings, model=handle), options.output))


def _exported(settings: ModelSettings, output: str | None) -> str:
    located = locate(settings, exported=False)  # a damaged export is replaced
    shown = printable(settings.model)
    if located.saved_model is None:
        raise ConfigError(f"model {shown} is already ONNX")
    from pytest_imgdiff.networks.tensorflow import export_onnx  # a slow import, only if there is a model

    if output is None:
        target = keep_export(settings, located.saved_model, located.digest, export_onnx)
    else:
        target = Path(output)
        export_onnx(located.saved_model, target)
    return f"exported: {shown} to {printable(str(target))} ({target.stat().st_size / 1e6:.1f} MB)"


def _short(digest: str) -> str:
    return f"{digest[:_DIGITS]}..."
