"""Build the images for real, run them, and say what was seen: `make image-test`.

    python -m tests.image [--target cpu] [--target gpu] [--required]

Needs root on Debian, the network for packages, and a few minutes the first time. Where it cannot run it says so and
ends with 0; with --required it ends with 1. NVIDIA's base of `gpu` is not fetched: that target is built on the
stand-in for the other base, without CUDA, so that its every command and its packages are tried on the CPU.

A last image is built as one does without a Rust toolchain: it serves on grpc.aio. Where there is neither Rust's image
nor Rust on this machine, all are built like that, and it is said.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.image import base, checks
from tests.image.builder import Buildah
from tests.image.commands import CommandFailed
from tests.image.container import ContainerFailed
from tests.image.dockerfile import Dockerfile, parse
from tests.image.machine import NotHere, pip_mounts, prepare

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / "build/image-test"
TARGETS = ("cpu", "gpu")
VARIABLE = "BUILD_NAIAD_NATIVE"
STARTED = time.monotonic()


def say(text: str) -> None:
    sys.stdout.write(f"[{time.monotonic() - STARTED:6.1f} s] {text}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.image", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--target", action="append", choices=TARGETS, help="what to build; may be repeated (all)")
    parser.add_argument("--required", action="store_true", help="fail where the images cannot be built")
    parsed = parser.parse_args(arguments)
    try:
        prepare(say)
    except NotHere as reason:
        say(f"image-test is skipped: {reason}")
        return 1 if parsed.required else 0
    try:
        test(parsed.target or TARGETS)
    except (AssertionError, CommandFailed, ContainerFailed) as failure:
        say(f"FAILED: {type(failure).__name__}: {failure}")
        return 1
    say("all checks passed")
    return 0


def test(targets: Sequence[str]) -> None:
    """Build and check these targets; raises what a failed command or check raises."""
    dockerfile = parse((ROOT / "Dockerfile").read_text())
    buildah = Buildah(PLACE)
    bases = find_bases(buildah, dockerfile)
    for target in targets:
        build_and_check(buildah, dockerfile, target, bases)
    if bases != (pure := without_rust(bases)):
        build_and_check(buildah, dockerfile, "cpu", pure)


def find_bases(buildah: Buildah, dockerfile: Dockerfile) -> dict[str, str]:
    """What the build arguments that name base images are given."""
    wanted = dockerfile.arguments["PYTHON_IMAGE"]
    why_not = base.pulled(buildah, wanted)
    if why_not is None:
        say(f"base: {wanted}, pulled")
        return with_rust(buildah, dockerfile, {"PYTHON_IMAGE": wanted, "GPU_IMAGE": wanted})
    say(f"base: a stand-in made of Debian {base.RELEASE}, since {wanted} cannot be pulled: {why_not}")
    made = base.stand_in(buildah)
    return with_rust(buildah, dockerfile, {"PYTHON_IMAGE": made, "GPU_IMAGE": made})


def with_rust(buildah: Buildah, dockerfile: Dockerfile, bases: dict[str, str]) -> dict[str, str]:
    wanted = dockerfile.arguments["RUST_IMAGE"]
    why_not = base.pulled(buildah, wanted)
    if why_not is None:
        say(f"Rust: {wanted}, pulled")
        return bases | {"RUST_IMAGE": wanted}
    toolchain = base.toolchain()
    if toolchain is None:
        say(f"Rust: none, since {wanted} cannot be pulled and this machine has none either: {why_not}")
        return without_rust(bases)
    say(f"Rust: a stand-in with this machine's, since {wanted} cannot be pulled: {why_not}")
    return bases | {"RUST_IMAGE": base.rust_stand_in(buildah, toolchain)}


def without_rust(bases: dict[str, str]) -> dict[str, str]:
    return bases | {"RUST_IMAGE": bases["PYTHON_IMAGE"], VARIABLE: "never"}


def build_and_check(buildah: Buildah, dockerfile: Dockerfile, target: str, bases: dict[str, str]) -> None:
    native = VARIABLE not in bases
    tag = f"localhost/naiad:{target}" + "-aio" * (not native)
    say(
        f"{target}: building, {'with' if native else 'without'} the native part"
        + (f", on the base of cpu instead of {dockerfile.stage(target).base}" * (target == "gpu"))
    )
    seconds = buildah.build(ROOT, target, tag, bases, pip_mounts(PLACE))
    say(f"{target}: built in {seconds:.0f} s; {sizes(buildah, tag, bases['PYTHON_IMAGE'])}")
    with buildah.files(tag) as files:
        room = PLACE / "containers"
        samples = ROOT / "model_repository"
        image = checks.built(dockerfile.stage(target), buildah.config(tag), files, samples, room, native=native)
        for check in checks.IMAGE_CHECKS:
            say(f"{target}: {check(image)}")
        for seen in checks.a_server_answers_and_stops(image):
            say(f"{target}: {seen}")


def sizes(buildah: Buildah, tag: str, base_image: str) -> str:
    """Say how large the image is, and what of it is fetched anew when only Naiad has changed: the last two layers."""
    whole, below = buildah.size(tag), buildah.layers(base_image)
    return (
        f"{whole.on_disk} on disk ({buildah.on_disk(base_image)} of it the base), {mega(whole.layers)} compressed "
        f"({mega(whole.layers[:below])} the base, {mega(whole.layers[below:-2])} dependencies, "
        f"{mega(whole.layers[-2:])} Naiad)"
    )


def mega(layers: Sequence[int]) -> str:
    return f"{sum(layers) / 1e6:.1f} MB"


if __name__ == "__main__":
    sys.exit(main())
