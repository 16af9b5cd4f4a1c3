"""MLServer's runtime for an ONNX file, since it has none of its own: decode, `session.run`, encode."""

import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class OnnxModel(MLModel):  # type: ignore[misc] # it is installed in another environment, without types for this one
    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            self.settings.parameters.uri, options, providers=["CPUExecutionProvider"]
        )
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        array = np.asarray(NumpyCodec.decode_input(payload.inputs[0]), np.float32)
        (result,) = self._session.run(["OUTPUT0"], {"INPUT0": array})
        output = NumpyCodec.encode_output("OUTPUT0", result)
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=[output])
