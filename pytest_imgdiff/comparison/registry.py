"""Name to metric, through pluggy: the table of built-in metrics, those of packages, those of conftest.py files."""

from __future__ import annotations

import difflib
import importlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

import pluggy

from pytest_imgdiff.base import hookspecs
from pytest_imgdiff.base.errors import CaptureError, ImgdiffError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pytest_imgdiff.base.model import Capturer, CaptureSettings, Metric, Policy
    from pytest_imgdiff.base.record import RunRecord


METRICS: Mapping[str, str] = {
    "visible": "pytest_imgdiff.metrics.visible:Visible",
    "perceptual": "pytest_imgdiff.metrics.perceptual:Perceptual",
    "ciede2000": "pytest_imgdiff.metrics.ciede2000:Ciede2000",
    "pixel_match": "pytest_imgdiff.metrics.pixel_match:PixelMatch",
    "diffimg": "pytest_imgdiff.metrics.intensity:DiffImg",
    "mae": "pytest_imgdiff.metrics.intensity:Mae",
    "mse": "pytest_imgdiff.metrics.intensity:Mse",
    "nrmse": "pytest_imgdiff.metrics.intensity:Nrmse",
    "psnr": "pytest_imgdiff.metrics.intensity:Psnr",
    "ssim": "pytest_imgdiff.metrics.ssim:Ssim",
    "nmi": "pytest_imgdiff.metrics.mutual_information:NormalizedMutualInformation",
    "flip": "pytest_imgdiff.metrics.flip:Flip",
    "ssimulacra2": "pytest_imgdiff.metrics.ssimulacra2:Ssimulacra2",
    "shift": "pytest_imgdiff.metrics.shift:Shift",
    "orb": "pytest_imgdiff.metrics.orb:Orb",
    "phash": "pytest_imgdiff.metrics.hashes:PHash",
    "dhash": "pytest_imgdiff.metrics.hashes:DHash",
    "ahash": "pytest_imgdiff.metrics.hashes:AHash",
    "whash": "pytest_imgdiff.metrics.hashes:WHash",
    "embedding_cosine": "pytest_imgdiff.metrics.category:EmbeddingCosine",
    "embedding_euclidean": "pytest_imgdiff.metrics.category:EmbeddingEuclidean",
    "classification": "pytest_imgdiff.metrics.category:Classification",
}
"""The built-in metrics, in the order of lists to choose from."""

GLANCE = ("pixel_match", "ssim", "orb", "embedding_cosine", "embedding_euclidean", "classification")
"""The metrics that show at a glance how similar two images are."""


ENTRY_POINT_GROUP = "imgdiff"
METRIC_ATTRIBUTES = ("name", "direction", "perfect", "bounds", "counts_pixels", "unit", "heat_threshold", "measure")
CAPTURER_ATTRIBUTES = ("target", "live", "follows", "capture")


class _HookManager(pluggy.PluginManager):
    """Plugin manager that accepts a function for a hook by its name, so that a conftest.py need not import a marker."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        marked = super().parse_hookimpl_opts(plugin, name)
        if marked is None and name in hookspecs.HOOKS and callable(getattr(plugin, name, None)):
            return cast("pluggy.HookimplOpts", {})
        return marked


class Registry:
    """The metrics, loaders and capturers of a run.

    Args:
        plugins: modules or objects with ``imgdiff_*`` functions, in addition to those of installed packages.

    Raises:
        ImgdiffError: two plugins define a metric with the same name, or an installed plugin cannot be loaded.
    """

    def __init__(self, plugins: Iterable[object] = ()) -> None:
        self._hooks = _HookManager("imgdiff")
        self._hooks.add_hookspecs(hookspecs)
        try:
            self._hooks.load_setuptools_entrypoints(ENTRY_POINT_GROUP)
        except Exception as error:
            msg = f"a plugin of the entry-point group {ENTRY_POINT_GROUP!r} cannot be loaded: {error}"
            raise ImgdiffError(msg) from error
        for plugin in plugins:
            if not self._hooks.is_registered(plugin):
                self._register(plugin)
        self._classes = self._collect()
        self._made: dict[tuple[str, str], Metric] = {}
        self.followed: Policy | None = None
        """The last policy that was validated with these metrics."""

    def _register(self, plugin: object) -> None:
        try:
            self._hooks.register(plugin)
        except Exception as error:
            msg = f"the hooks imgdiff_* of {plugin!r} cannot be followed: {_in_words(error)}"
            raise ImgdiffError(msg) from error

    def _collect(self) -> dict[str, Any]:
        classes: dict[str, Any] = dict(METRICS)
        try:
            found = [dict(provided) for provided in self._hooks.hook.imgdiff_metrics()]
        except Exception as error:
            msg = f"a hook imgdiff_metrics failed or returned no mapping: {_in_words(error)}"
            raise ImgdiffError(msg) from error
        for provided in found:
            for name, target in provided.items():
                if name in classes:
                    msg = f"two metrics are named {name!r}: {_called(classes[name])} and {_called(target)}"
                    raise ImgdiffError(msg)
                classes[name] = target
        return classes

    @property
    def extended(self) -> bool:
        """Whether any plugin extends the built-in metrics."""
        return bool(self._hooks.get_plugins())

    def names(self) -> list[str]:
        """Return the names of all metrics, sorted."""
        return sorted(self._classes)

    def metric_class(self, name: str) -> type[Metric]:
        """Return the class of a metric.

        Raises:
            ImgdiffError: There is no metric with this name, or a package that it needs is not installed.
        """
        target = self.described(name)
        module, extra = getattr(target, "_extra", (None, None))
        if module is not None and find_spec(module) is None:
            cause = f"{module.replace('_', '-')} is not installed: pip install 'pytest-imgdiff[{extra}]'"
            raise ImgdiffError(_not_loaded(name, f"{target.__module__}:{target.__qualname__}", cause))
        return target

    def described(self, name: str) -> type[Metric]:
        """Return the class of a metric even if its dependencies are not installed; then only its attributes are usable.

        Raises:
            ImgdiffError: There is no metric with this name, it cannot be imported, or it is not a metric.
        """
        if name not in self._classes:
            raise ImgdiffError(self._unknown(name))
        target = self._classes[name]
        if isinstance(target, str):
            target = _imported(name, target)
            self._classes[name] = target
        lacking = [attribute for attribute in METRIC_ATTRIBUTES if not hasattr(target, attribute)]
        if lacking:
            raise ImgdiffError(f"metric {name!r} ({_called(target)}) lacks {', '.join(lacking)}")
        if target.name != name:
            raise ImgdiffError(f"metric {name!r} ({_called(target)}) calls itself {target.name!r}; give it one name")
        return cast("type[Metric]", target)

    def metric(self, name: str, options: tuple[tuple[str, Any], ...] = ()) -> Metric:
        """Return the metric with these options; the same options return the same object.

        Raises:
            ImgdiffError: The metric is unknown, or rejects these options.
        """
        key = (name, repr(options))  # an option may be a list
        if key not in self._made:
            metric_class = self.metric_class(name)
            try:
                self._made[key] = metric_class(**dict(options))
            except Exception as error:  # it may be third-party code
                msg = f"metric {name!r} ({_called(metric_class)}) cannot be made: {_in_words(error)}"
                raise ImgdiffError(msg) from error
        return self._made[key]

    def load(self, source: object) -> object | None:
        """Return the result of the plugins' ``imgdiff_load`` hooks for this value; None if none of them takes it."""
        loaded: object | None = self._hooks.hook.imgdiff_load(source=source)
        return loaded

    def capturer(self, target: object, settings: CaptureSettings) -> Capturer | None:
        """Return the capturer of the plugins' ``imgdiff_capture`` hooks for this target.

        Raises:
            CaptureError: A hook failed, or did not return a capturer.
        """
        try:
            found: Capturer | None = self._hooks.hook.imgdiff_capture(target=target, settings=settings)
        except ImgdiffError:
            raise
        except Exception as error:
            msg = f"a hook imgdiff_capture failed: {_in_words(error)}"
            raise CaptureError(msg) from error
        lacking = [name for name in CAPTURER_ATTRIBUTES if not hasattr(found, name)]
        if found is not None and lacking:
            raise CaptureError(
                f"the capturer {_called(type(found))} of a hook imgdiff_capture lacks {', '.join(lacking)}"
            )
        return found

    def reported(self, run: RunRecord, directory: Path) -> None:
        """Notify the plugins that a report was written.

        Raises:
            ImgdiffError: A plugin failed.
        """
        try:
            self._hooks.hook.imgdiff_report(run=run, directory=directory)
        except Exception as error:
            msg = f"a hook imgdiff_report failed: {_in_words(error)}"
            raise ImgdiffError(msg) from error

    def _unknown(self, name: str) -> str:
        near = difflib.get_close_matches(name, self._classes, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"unknown metric {name!r}{hint} (known: {', '.join(self.names())})"


def _imported(name: str, target: str) -> Any:
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ImgdiffError(_not_loaded(name, target, error)) from error


def _not_loaded(name: str, target: str, cause: object) -> str:
    return f"metric {name!r} cannot be loaded from {target}: {cause}"


def _called(target: Any) -> str:
    return f"{target.__module__}:{target.__qualname__}" if isinstance(target, type) else repr(target)


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
