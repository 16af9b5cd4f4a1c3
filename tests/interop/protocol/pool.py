"""The descriptor pool of the interop service: other packages may have a `grpc.testing` in the default one."""

from typing import Final

from google.protobuf.descriptor_pool import DescriptorPool

POOL: Final = DescriptorPool()
