"""The descriptor pool that the compiled contract lives in.

protobuf's default pool holds one file of a name and one symbol of a name for the whole process, and
tritonclient and every other project that ships these protos put theirs there. Ours are apart, so that both
can be imported, in either order. Nothing else goes into this pool: what it holds is what reflection tells.
"""

from typing import Final

from google.protobuf.descriptor_pool import DescriptorPool

POOL: Final = DescriptorPool()
