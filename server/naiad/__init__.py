"""Naiad: an inference server for the KServe V2 / Triton protocol.

Importing this package imports nothing else, neither a framework nor a transport: what is wanted is imported
from its own module.
"""

__version__ = "0.1.0"
