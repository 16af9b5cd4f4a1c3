"""A client for inference servers of the KServe V2 / Triton protocol over gRPC: numpy in, numpy out.

    from naiad_client import Client

    digits = Client("localhost:8001").infer("digits", images).label

Client waits, AsyncClient is awaited; errors.py has every error. Nothing else than what is listed here is promised.
"""

from naiad_client.aio import AsyncClient
from naiad_client.client import Client
from naiad_client.connection import ClientOptions
from naiad_client.errors import (
    Aborted,
    AlreadyExists,
    Cancelled,
    DataLoss,
    DeadlineExceeded,
    FailedPrecondition,
    InputError,
    Internal,
    InvalidArgument,
    MalformedResponse,
    NaiadError,
    NotFound,
    OutOfRange,
    PermissionDenied,
    ResourceExhausted,
    StatusError,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Unknown,
)
from naiad_client.futures import InferFuture
from naiad_client.metadata import Health, IndexEntry, ModelMetadata, ServerMetadata, TensorMetadata
from naiad_client.requests import InferOptions, SequenceStep
from naiad_client.results import Result
from naiad_client.retries import Retries

__version__ = "0.1.0"

__all__ = [
    "Aborted",
    "AlreadyExists",
    "AsyncClient",
    "Cancelled",
    "Client",
    "ClientOptions",
    "DataLoss",
    "DeadlineExceeded",
    "FailedPrecondition",
    "Health",
    "IndexEntry",
    "InferFuture",
    "InferOptions",
    "InputError",
    "Internal",
    "InvalidArgument",
    "MalformedResponse",
    "ModelMetadata",
    "NaiadError",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "ResourceExhausted",
    "Result",
    "Retries",
    "SequenceStep",
    "ServerMetadata",
    "StatusError",
    "TensorMetadata",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Unknown",
]
