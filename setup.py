"""Build naiad with its native part, `naiad._native`, where that can be built, and without it elsewhere.

pyproject.toml says all else. The rules here:

- Without a Rust toolchain, and where it fails, the package is made of Python alone and stderr says why. The wheel's
  tag tells which of the two it is: `cp311-abi3-PLATFORM` or `py3-none-any`.
- BUILD_NAIAD_NATIVE decides otherwise: `required` makes a failure an error, `never` leaves the native part out.
  Its name does not begin with NAIAD_, as those of the server's settings do.
- What an earlier build left is never taken for what this one could not make.
"""

import os
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Literal

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.editable_wheel import editable_wheel
from setuptools.errors import BaseError, CCompilerError, PlatformError
from setuptools_rust import RustExtension
from setuptools_rust.build import build_rust

VARIABLE = "BUILD_NAIAD_NATIVE"
CHOICES = ("auto", "required", "never")
# What is built for 3.11 runs on later versions; an interpreter without the global lock has no such API yet.
LIMITED_API: str | Literal[False] = False if sysconfig.get_config_var("Py_GIL_DISABLED") else "cp311"
NATIVE = RustExtension(
    "naiad._native",
    path="server/native/Cargo.toml",
    cargo_manifest_args=["--locked"],
    rust_version=">=1.85",
    debug=False,  # also in the tree of a development install
)


class BuildNative(build_rust):
    """`build_rust`, which may fail unless it is required to build."""

    def run(self) -> None:
        self.verbose = 0  # else cargo shows each of rustc's command lines
        try:
            if shutil.which(self.cargo) is None:
                raise PlatformError(f"no {self.cargo} in PATH; https://rustup.rs has Rust")
            self.get_finalized_command("bdist_wheel")  # whose options tell which Python it is built for
            super().run()
        except (BaseError, CCompilerError, OSError) as error:
            if CHOICE == "required":
                raise
            self._go_without(error)

    def _go_without(self, error: Exception) -> None:
        self.get_finalized_command("build_ext").inplace = self.inplace
        for extension in self.extensions:
            Path(self.get_dylib_ext_path(extension, extension.name)).unlink(missing_ok=True)
        self.distribution.rust_extensions = []  # type: ignore[attr-defined] # setuptools-rust's, as in the next line
        self.distribution.has_ext_modules = lambda: False  # type: ignore[method-assign]
        sys.stderr.write(f"{error}\nnaiad._native is not built: grpcio will serve gRPC, with more CPU per request.\n")


class Wheel(bdist_wheel):
    """`bdist_wheel`, named after what was built."""

    def initialize_options(self) -> None:
        super().initialize_options()
        self.py_limited_api = LIMITED_API

    def run(self) -> None:
        self.run_command("build")
        self.root_is_pure = not self.distribution.has_ext_modules()
        super().run()


class EditableWheel(editable_wheel):
    """`editable_wheel`, named after what was built."""

    def run(self) -> None:
        build = self.get_finalized_command("build_ext")
        build.inplace = True
        build.run()
        super().run()


def choice() -> str:
    """Return the value of BUILD_NAIAD_NATIVE; ends the process where it is none of the choices."""
    value = os.environ.get(VARIABLE, CHOICES[0])
    if value not in CHOICES:
        raise SystemExit(f"{VARIABLE} is {value!r}, expected one of {', '.join(CHOICES)}")
    return value


CHOICE = choice()

setup(
    rust_extensions=[] if CHOICE == "never" else [NATIVE],
    cmdclass={"build_rust": BuildNative, "bdist_wheel": Wheel, "editable_wheel": EditableWheel},
)
