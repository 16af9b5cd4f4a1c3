"""What is wrong with repositories as a whole.

They may be unreadable, empty, given one level too low, open to everyone, or have files where models should be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from naiad.core.problems import Problem, Severity
from naiad.repository import exposure, formats
from naiad.repository.names import version
from naiad.repository.snapshot import Snapshot


def problems(roots: Sequence[Path], snapshot: Snapshot) -> list[Problem]:
    """Everything that concerns no model, or a whole repository of them. An empty repository is a warning."""
    distinct = list(dict.fromkeys(roots))
    models = {model.path for model in snapshot.models.values()}
    full = [root for root in distinct if root not in {*snapshot.unreadable, *snapshot.empty, *models}]
    exposed = map(exposure.of_repository, distinct)
    return [
        *snapshot.unreadable.values(),
        *map(_empty, snapshot.empty),
        *(problem for root in full for problem in _loose(root)),
        *filter(None, exposed),
    ]


def _loose(root: Path) -> Iterator[Problem]:
    """Model files that stand beside the models, where nothing is served from."""
    for name in _names(root):
        if formats.of_file(name) and (root / name).is_file():
            stem, ending = Path(name).stem, Path(name).suffix
            yield Problem(
                f"'{name}' is not served: it stands beside the models",
                place=str(root / name),
                severity=Severity.WARNING,
                found=f"'{name}'",
                expected="a directory for each model",
                remedy=f"Move it to '{root / stem / '1' / f'model{ending}'}', or remove it",
            )


def _empty(root: Path) -> Problem:
    names = _names(root)
    return Problem(
        f"there are no models in '{root}'",
        place=str(root),
        severity=Severity.WARNING,
        found=(", ".join(names[:8]) + (", ..." if len(names) > 8 else "")) or "an empty directory",
        expected="a directory for each model, with a directory for each version in it",
        remedy=_remedy(root, names),
    )


def _names(root: Path) -> list[str]:
    """What stands in a directory; nothing when it is gone by now."""
    try:
        return sorted(entry.name for entry in root.iterdir())
    except OSError:
        return []


def _remedy(root: Path, names: Sequence[str]) -> str:
    whole = root.absolute()
    if version(whole.name) is not None and names:
        return f"This is a version's directory: give the model's, '{whole.parent}', or the repository's"
    files = [name for name in names if formats.of_file(name)]
    if files:
        return f"Move '{files[0]}' into a version directory: '{root / 'NAME' / '1' / files[0]}', whatever NAME is to be"
    return f"Put the first model there, as '{root / 'NAME' / '1' / 'model.onnx'}'"
