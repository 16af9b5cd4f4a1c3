"""The files of a TLS server: what is wrong with them at the start, and what becomes of their changes."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

from naiad.frontends.grpc.tls import LARGEST, BadFile, CertificateFiles, Material, problems
from naiad.frontends.grpc.transport import Tls
from tests.certificates import EXPIRED, Authority, Pair, write
from tests.frontends.grpc.wires import PATIENCE

AUTHORITY = Authority()
OLD, NEW = AUTHORITY.issue(), AUTHORITY.issue()
NEVER = 1e6


class Used:
    """What is handed on; refuses, as a wire would, what is `unwanted`."""

    def __init__(self) -> None:
        self.unwanted: Pair | None = None
        self.taken: list[Material] = []
        self.news: SimpleQueue[Material] = SimpleQueue()

    def __call__(self, material: Material) -> None:
        if self.unwanted is not None and material.certificate == self.unwanted.certificate:
            raise ValueError("it does not like it")
        self.taken.append(material)
        self.news.put(material)

    @property
    def certificates(self) -> list[bytes]:
        return [material.certificate for material in self.taken]


@pytest.fixture
def used() -> Used:
    return Used()


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    return write(tmp_path, OLD)


@pytest.fixture
def files(tls: Tls, used: Used) -> Iterator[CertificateFiles]:
    """Files that are looked at by hand."""
    files = CertificateFiles(tls, used, NEVER)
    files.start()
    yield files
    files.stop()


def look(files: CertificateFiles, times: int = 1) -> None:
    for _ in range(times):
        files._look()
        files._complain()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_what_is_there_at_the_start_is_used_and_nothing_twice(files: CertificateFiles, used: Used) -> None:
    look(files, 3)
    assert used.taken == [Material(OLD.certificate, OLD.key, None)]


def test_new_files_are_used_at_the_first_look(files: CertificateFiles, used: Used, tmp_path: Path) -> None:
    write(tmp_path, NEW)
    look(files, 3)
    assert used.certificates == [OLD.certificate, NEW.certificate]
    write(tmp_path, OLD)
    look(files)
    assert used.certificates == [OLD.certificate, NEW.certificate, OLD.certificate]


def test_files_behind_a_link_that_is_moved_are_used(tmp_path: Path, used: Used) -> None:
    for name, pair in {"first": OLD, "second": NEW}.items():
        write(tmp_path / name, pair)
    link = tmp_path / "current"
    link.symlink_to("first")
    files = CertificateFiles(Tls(link / "tls.crt", link / "tls.key"), used, NEVER)
    files.start()
    (tmp_path / "next").symlink_to("second")
    (tmp_path / "next").rename(link)
    look(files)
    files.stop()
    assert used.certificates == [OLD.certificate, NEW.certificate]


def test_a_new_authority_of_clients_is_used(tmp_path: Path, used: Used) -> None:
    files = CertificateFiles(write(tmp_path, OLD, AUTHORITY), used, NEVER)
    files.start()
    other = Authority()
    write(tmp_path, OLD, other)
    look(files)
    files.stop()
    assert [material.client_authority for material in used.taken] == [AUTHORITY.pem, other.pem]


def test_a_pair_of_which_one_is_written_yet_is_nothing_to_warn_of(
    files: CertificateFiles, used: Used, tls: Tls, caplog: pytest.LogCaptureFixture
) -> None:
    tls.certificate.write_bytes(NEW.certificate)
    look(files)
    tls.key.write_bytes(NEW.key)
    look(files)
    assert used.certificates == [OLD.certificate, NEW.certificate]
    assert warnings(caplog) == []


def test_files_that_stay_wrong_are_told_once_and_those_before_stay_in_use(
    files: CertificateFiles, used: Used, tls: Tls, caplog: pytest.LogCaptureFixture
) -> None:
    tls.certificate.write_bytes(NEW.certificate)
    look(files, 5)
    (warning,) = warnings(caplog)
    assert warning == (
        "the TLS files were changed and are not used, those before them still are: "
        f"{tls.key}: cannot be used with {tls.certificate}: the key does not belong to the certificate"
    )
    assert used.certificates == [OLD.certificate]


def test_files_that_are_wrong_again_or_in_another_way_are_told_again(
    files: CertificateFiles, tls: Tls, caplog: pytest.LogCaptureFixture
) -> None:
    tls.key.unlink()
    look(files, 3)
    tls.key.write_bytes(b"?")
    look(files, 3)
    tls.key.write_bytes(OLD.key)
    look(files)
    tls.key.write_bytes(b"?")
    look(files, 3)
    missing, *wrong = warnings(caplog)
    assert missing.endswith(f"{tls.key}: cannot be read: No such file or directory, expected a file in PEM")
    assert [each.partition(f"{tls.key}: ")[2] for each in wrong] == [
        "found no PEM, expected PEM with a block BEGIN PRIVATE KEY"
    ] * 2


def test_files_that_the_wire_does_not_take_are_wrong_too(
    files: CertificateFiles, used: Used, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    used.unwanted = NEW
    write(tmp_path, NEW)
    look(files, 3)
    (warning,) = warnings(caplog)
    assert warning.endswith(f"{tmp_path / 'tls.key'}: cannot be used with {tmp_path / 'tls.crt'}: it does not like it")


def test_a_certificate_that_has_expired_is_used_and_warned_of_once(
    tmp_path: Path, used: Used, caplog: pytest.LogCaptureFixture
) -> None:
    expired = AUTHORITY.issue(valid=EXPIRED)
    files = CertificateFiles(write(tmp_path, expired), used, NEVER)
    files.start()
    look(files, 3)
    files.stop()
    (warning,) = warnings(caplog)
    assert warning.startswith(f"{tmp_path / 'tls.crt'}: the TLS certificate has expired, at ")
    assert used.certificates == [expired.certificate]


def test_a_certificate_that_expires_while_it_is_used_is_warned_of(
    files: CertificateFiles, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    look(files)
    assert warnings(caplog) == []
    later = time.time() + 7 * 86_400
    monkeypatch.setattr("naiad.frontends.grpc.tls.time.time", lambda: later)
    look(files, 3)
    (warning,) = warnings(caplog)
    assert "has expired" in warning


def test_the_files_are_looked_at_by_a_thread_that_ends(tls: Tls, tmp_path: Path, used: Used) -> None:
    files = CertificateFiles(tls, used, 0.01)
    files.start()
    assert used.news.get(timeout=PATIENCE).certificate == OLD.certificate
    write(tmp_path, NEW)
    assert used.news.get(timeout=PATIENCE).certificate == NEW.certificate
    assert "naiad-tls" in names()
    files.stop()
    assert "naiad-tls" not in names()


def names() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def test_bad_files_at_the_start_are_an_error_and_start_nothing(tls: Tls, used: Used) -> None:
    tls.certificate.write_bytes(b"nothing")
    with pytest.raises(BadFile, match="found no PEM") as caught:
        CertificateFiles(tls, used, NEVER).start()
    assert str(caught.value).startswith(f"{tls.certificate}: ")
    assert used.taken == []
    assert "naiad-tls" not in names()


def test_good_files_have_no_problems(tmp_path: Path) -> None:
    assert problems(write(tmp_path, OLD, AUTHORITY)) == []


def test_all_problems_are_told_together_each_with_its_file(tmp_path: Path) -> None:
    tls = write(tmp_path, Pair(b"", OLD.key), AUTHORITY)
    tls.key.write_bytes(bytes(LARGEST + 1))
    assert tls.client_authority is not None
    tls.client_authority.unlink()
    found = problems(tls)
    assert [error.path for error in found] == [tls.certificate, tls.key, tls.client_authority]
    assert [str(error).removeprefix(f"{error.path}: ").partition(",")[0] for error in found] == [
        "found no PEM", f"has more than {LARGEST} bytes", "cannot be read: No such file or directory",
    ]  # fmt: skip


def test_a_pair_that_does_not_fit_is_a_problem_of_the_key(tmp_path: Path) -> None:
    tls = write(tmp_path, Pair(OLD.certificate, NEW.key))
    (error,) = problems(tls)
    assert error.path == tls.key


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    tls = write(tmp_path, OLD)
    tls.key.unlink()
    os.mkfifo(tls.key)
    (error,) = problems(tls)
    assert "is no regular file" in str(error)
