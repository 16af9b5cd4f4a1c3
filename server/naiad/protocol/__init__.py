"""The wire contract, compiled from protos/: modules of messages, and the pool that describes them.

Messages are ordinary protobuf classes: typed, picklable (pickling.py), and apart from those of other projects
(pool.py). The services' methods are in `grpc_service_pb2.DESCRIPTOR.services_by_name` and the like.
"""

from naiad.protocol.generated import (
    admin_pb2,
    grpc_service_pb2,
    health_pb2,
    model_config_pb2,
    reflection_pb2,
    reflection_v1alpha_pb2,
)
from naiad.protocol.pickling import pickle_by_class
from naiad.protocol.pool import POOL

__all__ = [
    "POOL",
    "admin_pb2",
    "grpc_service_pb2",
    "health_pb2",
    "model_config_pb2",
    "reflection_pb2",
    "reflection_v1alpha_pb2",
]

pickle_by_class(
    module.DESCRIPTOR
    for module in (admin_pb2, grpc_service_pb2, health_pb2, model_config_pb2, reflection_pb2, reflection_v1alpha_pb2)
)
