"""When gRPC sends a call again by itself, as it is told in a channel's service config.

Only a call that ended UNAVAILABLE is sent again, and only before anything of a response came. A server that refuses
for a full queue asks not to be tried again (`grpc-retry-pushback-ms: -1`), and gRPC obeys. Throttling holds for all
clients of a process that talk to one address: each failure takes a token, each success gives a part of one back, and
while no more than half of them are left nothing is sent again.

Format: https://github.com/grpc/proposal/blob/master/A6-client-retries.md
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

_SERVICES: Final = ("inference.GRPCInferenceService", "grpc.health.v1.Health")
_MOST_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class Retries:
    """attempts: how often a call is sent at most, from 2 to 5 (gRPC's own limit).

    initial_backoff, max_backoff: seconds before the second attempt and before any; `multiplier` lies between one
        and the next. gRPC varies each by a fifth.
    max_tokens, token_ratio: of the throttling; at most 1000, and above 0.

    ValueError for what is out of range: gRPC would ignore all of it silently.
    """

    attempts: int = 4
    initial_backoff: float = 0.05
    max_backoff: float = 1.0
    multiplier: float = 2.0
    max_tokens: int = 10
    token_ratio: float = 0.1

    def __post_init__(self) -> None:
        if not 2 <= self.attempts <= _MOST_ATTEMPTS:
            raise ValueError(f"attempts: expected 2 to {_MOST_ATTEMPTS}, got {self.attempts}")
        if not 0 < self.max_tokens <= 1000:
            raise ValueError(f"max_tokens: expected 1 to 1000, got {self.max_tokens}")
        for name in ("initial_backoff", "max_backoff", "multiplier", "token_ratio"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: expected more than 0, got {getattr(self, name)}")

    def service_config(self) -> str:
        """The JSON that a channel takes."""
        policy = {
            "maxAttempts": self.attempts,
            "initialBackoff": f"{self.initial_backoff:.9f}s",
            "maxBackoff": f"{self.max_backoff:.9f}s",
            "backoffMultiplier": self.multiplier,
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
        names = [{"service": service} for service in _SERVICES]
        throttling = {"maxTokens": self.max_tokens, "tokenRatio": self.token_ratio}
        return json.dumps({"methodConfig": [{"name": names, "retryPolicy": policy}], "retryThrottling": throttling})
