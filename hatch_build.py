"""Builds the compiled core where there is a compiler; without one the package is installed in pure Python.

`IMGDIFF_CORE=python` leaves the core out; `IMGDIFF_CORE=native` makes a core that cannot be built an error, for wheels.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.builders.macos import process_macos_plat_tag
from packaging.tags import sys_tags

PACKAGE = "pytest_imgdiff/_core"
OLDEST = (3, 10)
WINDOWS = sys.platform == "win32"
MODULE = "native.pyd" if WINDOWS else "native.abi3.so"
FLAGS = ("-std=c11", "-O3", "-Wall", "-Wextra", "-Wno-psabi", *(() if WINDOWS else ("-fPIC", "-fvisibility=hidden")))
FLOATS = ("-ffp-contract=off", "-fno-math-errno")
"""Each operation on floats is rounded, as in NumPy; and square roots are vectors."""
LIMITED_API = f"-DPy_LIMITED_API=0x{OLDEST[0]:02X}{OLDEST[1]:02X}0000"
_SECONDS = 300


class CoreHook(BuildHookInterface[Any]):
    """Puts the extension into the wheel, or beside its sources where the package is installed editable."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the core, and say so in the wheel's tag."""
        wanted = os.environ.get("IMGDIFF_CORE", "").strip().lower()
        sources = Path(self.root) / PACKAGE
        editable = version == "editable"
        if editable:  # else a core of older sources would go on
            (sources / MODULE).unlink(missing_ok=True)
        if wanted == "python":
            return
        self._folder = tempfile.TemporaryDirectory()
        module = (sources if editable else Path(self._folder.name)) / MODULE
        try:
            compile_core(sources, module)
        except (OSError, subprocess.SubprocessError) as error:
            if wanted == "native":
                raise
            self.app.display_warning(f"the compiled core is left out, and Python does its work: {_reason(error)}")
            return
        build_data["pure_python"] = False
        build_data["tag"] = f"cp{OLDEST[0]}{OLDEST[1]}-abi3-{_platform()}"
        if not editable:
            build_data["force_include"][str(module)] = f"{PACKAGE}/{module.name}"

    def finalize(self, _version: str, _build_data: dict[str, Any], _artifact_path: str) -> None:
        """Remove what was compiled for the wheel."""
        if folder := getattr(self, "_folder", None):
            folder.cleanup()


def compile_core(sources: Path, module: Path, *extra: str) -> None:
    """Compile the core with the compiler that ``CC`` names, or the one that Python was built with, and ``CFLAGS``.

    On Windows that is Clang: the core is C11 with the vectors of GCC and Clang.

    Args:
        sources: the folder of the C files.
        module: what is written; an older one is replaced, and not changed while a process uses it.
        extra: further words for the compiler.

    Raises:
        OSError, subprocess.SubprocessError: there is no compiler, or it fails.
    """
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        msg = "free-threaded Python has no stable ABI"
        raise OSError(msg)
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or ("clang" if WINDOWS else "cc"))
    shared = {
        "darwin": ["-bundle", "-undefined", "dynamic_lookup", "-lm"],
        "win32": ["-shared", f"-L{Path(sys.base_prefix) / 'libs'}", "-lpython3"],
    }.get(sys.platform, ["-shared", "-pthread", "-lm"])
    asked = (word for name in ("CFLAGS", "ARCHFLAGS") for word in shlex.split(os.environ.get(name, "")))
    words = [*compiler, *FLAGS, *FLOATS, LIMITED_API, *extra, *asked]
    includes = {sysconfig.get_path("include"), sysconfig.get_path("platinclude")}
    files = sorted(map(str, sources.glob("*.c")))
    new = module.with_name(f".{module.name}.{os.getpid()}")
    try:
        subprocess.run(  # noqa: S603 - the compiler that the environment names
            [*words, *(f"-I{folder}" for folder in includes), *files, *shared, "-o", str(new)],
            check=True,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
        new.replace(module)
    finally:
        new.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    told = (getattr(error, "stderr", None) or "").strip().splitlines()
    return told[0] if told else str(error)


def _platform() -> str:
    """Return the platform of a wheel built here; which older systems it runs on is for those to say who repair it."""
    found = next(tag.platform for tag in sys_tags() if not tag.platform.startswith(("manylinux", "musllinux")))
    # What MACOSX_DEPLOYMENT_TARGET and ARCHFLAGS ask for, as the compiler does.
    return process_macos_plat_tag(found, compat=False) if sys.platform == "darwin" else found


if __name__ == "__main__":
    # `python hatch_build.py` compiles the core anew beside its sources; more words go to the compiler.
    _folder = Path(__file__).parent / PACKAGE
    compile_core(_folder, _folder / MODULE, *sys.argv[1:])
