"""The descriptor pool that the client's compiled contract lives in.

A pool holds one file of a name. The default pool of protobuf is for the whole process, and every client and server of
this protocol that puts its own `grpc_service.proto` there collides with the next. This one is ours alone, so that
the client can be imported beside any of them, before or after.
"""

from typing import Final

from google.protobuf.descriptor_pool import DescriptorPool

POOL: Final = DescriptorPool()
