"""A real Prometheus to test against, from start to exit, with the configuration that `deploy/prometheus` ships.

`with Prometheus(directory, shipped([target])) as prometheus:` starts it on a free port of 127.0.0.1 and waits until it
says that it is ready. What a test waits for it asks for again and again, since nobody tells when a scrape is stored.
"""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import httpx
import yaml

from tests.requirements import require

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RULES = (DEPLOY / "prometheus/recording.yml", DEPLOY / "prometheus/alerts.yml")
PROGRAM, PROMTOOL = (Path(sys.executable).with_name(name) for name in ("prometheus", "promtool"))
PATIENCE = 30.0
"""Seconds after which something that must happen counts as a hang."""

INTERVALS = {"scrape_interval": "1s", "evaluation_interval": "250ms"}
"""A scrape may take as long as there is between two."""

POLL_SECONDS = 0.05
Answer = TypeVar("Answer")
LISTENING, READY = re.compile(r'msg="Listening on" address=(\S+)'), re.compile(r"ready to receive web requests")


def require_prometheus() -> None:
    """Skip, or fail, where Prometheus is not installed."""
    require("prometheus", PROGRAM.exists() and PROMTOOL.exists(), "prometheus is not in .venv: `make dev` says why")


def promtool(*arguments: str | Path, given: str | None = None) -> str:
    """Run promtool, demand that it has nothing to complain about, and return what it printed."""
    command = [str(PROMTOOL), *map(str, arguments)]
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def shipped(
    targets: Sequence[str], labels: Mapping[str, str] | None = None, rules: Iterable[Path] = ()
) -> dict[str, Any]:
    """Return the shipped configuration with these targets and rules, and less time between two scrapes.

    labels: what relabelling would add to every series of the targets.
    """
    config: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    config["global"] |= INTERVALS
    config["rule_files"] = list(map(str, rules))
    (job,) = config["scrape_configs"]
    job["static_configs"] = [{"targets": list(targets), "labels": dict(labels or {})}]
    return config


class Sample(NamedTuple):
    """One series of an answer and its value now."""

    labels: dict[str, str]
    value: float


class Prometheus:
    """`url` is known once it has started; `log` is everything that it wrote to stderr."""

    def __init__(self, directory: Path, config: Mapping[str, Any]) -> None:
        path = directory / "prometheus.yml"
        path.write_text(yaml.safe_dump(dict(config)))
        data = f"--storage.tsdb.path={directory / 'data'}"
        self._command = [str(PROGRAM), f"--config.file={path}", data, "--web.listen-address=127.0.0.1:0"]
        self._lines: list[str] = []
        self._news = threading.Condition()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        self._reader = threading.Thread(target=self._read, name="prometheus-log", daemon=True)
        self._reader.start()
        try:
            self.url = f"http://{self._line(LISTENING).group(1)}"
            self._line(READY)
        except BaseException:
            self._end()
            raise
        self._client = httpx.Client(base_url=self.url, timeout=PATIENCE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()
        self._end()

    @property
    def log(self) -> str:
        with self._news:
            return "".join(self._lines)

    def get(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer of its API; AssertionError with its words if it refuses."""
        answer = self._client.get(f"/api/v1/{path}", params=parameters).json()
        assert answer["status"] == "success", f"{path} {parameters}: {answer['error']}"
        assert not answer.get("warnings"), f"{path} {parameters}: {answer['warnings']}"
        return answer["data"]

    def query(self, expression: str) -> list[Sample]:
        """Evaluate an expression now; a number is a sample without labels."""
        data = self.get("query", query=expression)
        if data["resultType"] == "scalar":
            return [Sample({}, float(data["result"][1]))]
        return [Sample(found["metric"], float(found["value"][1])) for found in data["result"]]

    def wait_for(self, expression: str, accept: Callable[[list[Sample]], bool] = bool) -> list[Sample]:
        """Ask until the samples are acceptable (by default: there are some), and return them."""
        return self._ask(lambda: self.query(expression), accept, expression)

    def wait_for_targets(self) -> list[dict[str, str]]:
        """Wait until it has found what there is to scrape, and return the labels of each."""
        targets = self._ask(lambda: self.get("targets")["activeTargets"], bool, "its targets")
        return [target["labels"] for target in targets]

    def _ask(self, question: Callable[[], Answer], accept: Callable[[Answer], bool], what: str) -> Answer:
        until = time.monotonic() + PATIENCE
        while not accept(answer := question()):
            assert time.monotonic() < until, f"{what} stayed {answer}\n{self.trouble()}"
            time.sleep(POLL_SECONDS)
        return answer

    def trouble(self) -> str:
        """Return what went wrong in the last scrapes, and the log."""
        errors = [target["lastError"] for target in self.get("targets")["activeTargets"] if target["lastError"]]
        return "\n".join([*errors, self.log])

    def _line(self, pattern: re.Pattern[str]) -> re.Match[str]:
        def look() -> re.Match[str] | None:
            return next(filter(None, map(pattern.search, self._lines)), None)

        with self._news:
            found = self._news.wait_for(look, PATIENCE)
        assert found is not None, f"Prometheus did not log {pattern.pattern!r}\n{self.log}"
        return found

    def _read(self) -> None:
        """Collect the log until the process closes it, on a thread of its own."""
        if self._process.stderr is None:
            raise TypeError("the process was started without a pipe for its log")
        for line in self._process.stderr:
            with self._news:
                self._lines.append(line)
                self._news.notify_all()

    def _end(self) -> None:
        """Leave no process, thread or pipe behind."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(PATIENCE)
            raise
        finally:
            self._reader.join(PATIENCE)
            if self._process.stderr is not None:
                self._process.stderr.close()
