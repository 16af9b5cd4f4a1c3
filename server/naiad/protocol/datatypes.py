"""Datatypes as a config writes them (`TYPE_FP32`) and as the server knows them.

A config says STRING where the wire says BYTES.
"""

from typing import Final

from naiad.core.types import DataType
from naiad.protocol.generated import model_config_pb2


def _written(datatype: DataType) -> model_config_pb2.DataType.ValueType:
    name = "STRING" if datatype is DataType.BYTES else datatype.value
    return model_config_pb2.DataType.Value(f"TYPE_{name}")


TO_CONFIG: Final = {datatype: _written(datatype) for datatype in DataType}
FROM_CONFIG: Final = {number: datatype for datatype, number in TO_CONFIG.items()}
