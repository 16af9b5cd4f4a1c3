"""The metadata of models that were inferred: what a request is made with.

It is fetched once for each name and version, and given up when a request fails as one does whose model has become
another: the next one then fetches it anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Self

from naiad_client.errors import InputError, InvalidArgument, NotFound
from naiad_client.metadata import ModelMetadata
from naiad_client.requests import InferOptions


class Key(NamedTuple):
    """A model as a caller names it; version "" is the server's choice."""

    model: str
    version: str

    @classmethod
    def of(cls, model: str, options: InferOptions) -> Self:
        return cls(model, str(options.get("version", "")))


class MetadataCache:
    """For any number of threads: each of its operations is one of a dict."""

    def __init__(self) -> None:
        self._known: dict[Key, ModelMetadata] = {}

    def get(self, key: Key) -> ModelMetadata | None:
        return self._known.get(key)

    def put(self, key: Key, metadata: ModelMetadata) -> None:
        self._known[key] = metadata

    def failed(self, key: Key, error: BaseException | None) -> None:
        """Forget the model if the error may come of old metadata."""
        if isinstance(error, InputError | InvalidArgument | NotFound):
            self._known.pop(key, None)

    @contextmanager
    def watching(self, key: Key) -> Iterator[None]:
        """See how an inference of this model ends."""
        try:
            yield
        except BaseException as error:
            self.failed(key, error)
            raise
