"""The wire contract as messages: typed, picklable, in a descriptor pool of the client's own."""

from naiad_client.protocol.generated import grpc_service_pb2, health_pb2, model_config_pb2
from naiad_client.protocol.pickling import pickle_nested

__all__ = ["grpc_service_pb2", "health_pb2", "model_config_pb2"]

pickle_nested(module.DESCRIPTOR for module in (grpc_service_pb2, health_pb2, model_config_pb2))
