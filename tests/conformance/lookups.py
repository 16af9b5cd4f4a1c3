"""Scenarios: which model and version a request is for."""

from tests.conformance.messages import Given, Message, fp32, request
from tests.conformance.observation import Observation, ok, refused
from tests.conformance.scenario import Scenario, asks

SUM = "OUTPUT0 INT32 [1,16] 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"
DIFFERENCE = "OUTPUT1 INT32 [1,16] -1 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14"

FIVE = ok("versions version 5 id ''", "OUTPUT0 FP32 [1,1] 1.0")
PREFIX = "Triton reads as much of the text as looks like a number and ignores the rest, which may be a typing error"


def one(model: str, version: str = "") -> Message:
    return request(model, Given("INPUT0", "FP32", [1, 1], fp32([1])), version=version)


def unknown(text: str, status: str = "NOT_FOUND") -> Observation:
    return refused(status, f"Request for unknown model: {text}")


def not_a_number(text: str, cause: str = "stol") -> Observation:
    message = f"failed to get model version from specified version string '{text}' (details: {cause})"
    return refused("INVALID_ARGUMENT", f"{message}, version should be an integral value > 0")


LOOKUPS: tuple[Scenario, ...] = (
    asks("model.unknown", "a model that is nowhere", one("nowhere"), unknown("'nowhere' is not found")),
    asks("model.empty", "a request without a model name", one(""), unknown("'' is not found")),
    asks(
        "model.unknown_with_version",
        "a model that is nowhere, in a version",
        one("nowhere", "3"),
        unknown("'nowhere' is not found"),
    ),
    asks(
        "model.nul",
        "a name that continues after a NUL byte is another name",
        one("versions\0x"),
        unknown("'versions\0x' is not found"),
        FIVE,
        "Triton reads a name up to its first NUL byte and answers for another model than the one asked for",
    ),
    asks(
        "version.unknown",
        "a version that is nowhere",
        one("versions", "99"),
        unknown("'versions' version 99 is not found"),
    ),
    asks("version.zero", "version 0 is a version", one("versions", "0"), unknown("'versions' version 0 is not found")),
    asks(
        "version.not_selected",
        "a version on disk that the policy does not select",
        one("versions", "1"),
        unknown("'versions' version 1 is not found"),
    ),
    asks("version.word", "a version that is a word", one("versions", "abc"), not_a_number("abc")),
    asks(
        "version.mixed",
        "a version that only begins with a number",
        one("versions", "5abc"),
        not_a_number("5abc"),
        FIVE,
        PREFIX,
    ),
    asks("version.space", "a version with a space before it", one("versions", " 5"), not_a_number(" 5"), FIVE, PREFIX),
    asks("version.huge", "a version above 2^63", one("versions", "9" * 20), not_a_number("9" * 20)),
    asks(
        "version.negative",
        "a negative version",
        one("versions", "-1"),
        refused("INVALID_ARGUMENT", "invalid model version specified '-1' , version should be an integral value > 0"),
    ),
    asks(
        "version.none",
        "no version asked: the highest that is ready",
        one("versions"),
        FIVE,
    ),
    asks(
        "version.asked",
        "an older version",
        one("versions", "2"),
        ok("versions version 2 id ''", "OUTPUT0 FP32 [1,1] 1.0"),
    ),
    asks(
        "version.leading_zeros",
        "a version with leading zeros is that number",
        one("versions", "0005"),
        FIVE,
    ),
    asks(
        "broken.any", "a model of which no version loaded", one("broken"), unknown("'broken' has no available versions")
    ),
    asks(
        "broken.version",
        "a version that did not load",
        one("broken", "1"),
        unknown("'broken' version 1 is not at ready state", "UNAVAILABLE"),
    ),
    asks(
        "order.version_before_model",
        "a bad version of an unknown model: the version is told",
        one("nowhere", "abc"),
        not_a_number("abc"),
    ),
    asks(
        "order.model_before_parameters",
        "an unknown model with a bad parameter: the model is told",
        request("nowhere", parameters={"timeout": {"string_param": "5"}}),
        unknown("'nowhere' is not found"),
    ),
)
