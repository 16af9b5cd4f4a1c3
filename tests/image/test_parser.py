"""Reading a Dockerfile and a .dockerignore: what builders do with them, on small examples."""

import pytest

from tests.image.dockerfile import is_sent, parse

EXAMPLE = """\
# A comment \\
ARG BASE=example.org/base:1.0

FROM ${BASE} AS first
RUN one \\
    # a comment between
    && two 'with space'
FROM first AS second
COPY --from=first --chown=1:1 a b /c
ENV NAME=value OTHER='["x y"]'
HEALTHCHECK --interval=5s --retries=2 CMD ["a", "b \\
c"]
"""


def test_stages_have_their_bases_and_instructions_with_lines_joined_and_comments_left_out() -> None:
    first, second = parse(EXAMPLE).stages
    assert (first.name, first.base, second.base) == ("first", "example.org/base:1.0", "first")
    assert first.commands == [["one"], ["two", "with space"]]
    assert [each.line for each in second.instructions] == [9, 10, 11]


def test_flags_arguments_environment_and_health_command_are_told_apart() -> None:
    second = parse(EXAMPLE).stage("second")
    assert second.one("COPY").flags == {"from": "first", "chown": "1:1"}
    assert second.one("COPY").arguments == ["a", "b", "/c"]
    assert second.environment == {"NAME": "value", "OTHER": '["x y"]'}
    assert second.one("HEALTHCHECK").flags == {"interval": "5s", "retries": "2"}
    assert second.health_command == ["a", "b c"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("RUN true", "line 1: RUN before FROM"),
        ("FROM scratch", "line 1: got FROM 'scratch', expected FROM IMAGE AS NAME"),
        ("FROM x AS y\nUSER 1\n\nUSER 2", "line 4: a second USER in stage y"),
        ("FROM x AS y\nRUN a \\\n", "line 2: continued, but the file ends"),
    ],
)
def test_what_is_not_understood_is_told_with_its_line(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse(text)


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("kept", True),
        ("kept/deep/file.py", True),
        ("other/kept/file.py", False),
        ("kept/cache/file", False),
        ("kept/deep/cache/file", False),
        ("kept/deep/cached", True),
        ("left", False),
    ],
)
def test_the_last_pattern_that_matches_decides_what_a_builder_gets(path: str, sent: bool) -> None:
    assert is_sent(path, "# all\n*\n!kept\n\n**/cache\n") is sent
