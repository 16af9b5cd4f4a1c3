"""Images, made by buildah in a storage of our own, so that nothing gets in the way of the machine's other images."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.image.commands import SECONDS, CommandFailed, run


class Size(NamedTuple):
    """What it takes on disk, as text, and the compressed bytes of each layer, the base's first."""

    on_disk: str
    layers: tuple[int, ...]


class Buildah:
    """`directory` keeps images and cached layers from one run to the next."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._buildah = ("buildah", "--root", directory / "storage", "--runroot", directory / "running")
        directory.mkdir(parents=True, exist_ok=True)

    def __call__(self, *arguments: str | Path, seconds: float = SECONDS) -> str:
        """Run a command of buildah; gives its output without the last newline, or raises CommandFailed."""
        return run([*self._buildah, *arguments], seconds).rstrip("\n")

    def has(self, image: str) -> bool:
        try:
            self("inspect", "--type", "image", image)
        except CommandFailed:
            return False
        return True

    def build(
        self, tree: Path, target: str, tag: str, arguments: Mapping[str, str], mounts: Mapping[Path, str]
    ) -> float:
        """Build a target of the tree's Dockerfile; gives the seconds it took.

        Mounts are there for the commands of the build and not in the image. The format is Docker's, since the
        other one has no health check.
        """
        begun = time.monotonic()
        how = ["--isolation", "chroot", "--network", "host", "--format", "docker", "--layers", "--pull=never"]
        given = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        mounted = [f"--volume={source}:{inside}:ro" for source, inside in mounts.items()]
        self("build", *how, *given, *mounted, "--target", target, "--tag", tag, tree)
        return time.monotonic() - begun

    def config(self, image: str) -> Any:
        """What the image tells engines: Docker's `config` object."""
        return self._described(image)["config"]

    def layers(self, image: str) -> int:
        """How many layers it has."""
        return len(self._described(image)["rootfs"]["diff_ids"])

    def size(self, image: str) -> Size:
        """Measure it as a registry would hold it; takes some seconds to compress."""
        written = self._directory / "oci"
        run(["rm", "-rf", written])
        self("push", "--quiet", image, f"oci:{written}:measured")
        index = json.loads((written / "index.json").read_text())
        manifest = json.loads(_blob(written, index["manifests"][0]["digest"]).read_text())
        run(["rm", "-rf", written])
        return Size(self.on_disk(image), tuple(int(layer["size"]) for layer in manifest["layers"]))

    def on_disk(self, image: str) -> str:
        return self("images", "--noheading", "--format", "{{.Size}}", image)

    def _described(self, image: str) -> Any:
        return json.loads(self("inspect", "--type", "image", image))["Docker"]

    @contextmanager
    def container(self, image: str) -> Iterator[str]:
        """A container with the image's files, removed in the end."""
        name = self("from", "--pull=never", image)
        try:
            yield name
        finally:
            self("rm", name)

    @contextmanager
    def files(self, image: str) -> Iterator[Path]:
        """The image's files as a directory, for reading."""
        with self.container(image) as container:
            yield Path(self("mount", container))


def _blob(directory: Path, digest: str) -> Path:
    return directory / "blobs" / digest.replace(":", "/")
