"""What is measured against what, in one run (`run`); each module here is one section, or what sections share."""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime would report to its maker while it is timed
