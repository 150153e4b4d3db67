"""LocalStack's runtime executor without Docker: a Node process for each execution environment."""

import json
import os
import threading
from datetime import UTC, datetime
from time import monotonic

from localstack import config
from localstack.services.lambda_.invocation.lambda_models import FunctionVersion, InvocationResult
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor

from mintmark_localstack import report
from mintmark_localstack.report import Exit, FunctionError
from mintmark_localstack.runtime_process import RuntimeProcess
from mintmark_localstack.variables import function_variables

# AWS Lambda, "Understanding the Lambda execution environment lifecycle": the init phase is limited to 10 seconds; one
# that takes longer or fails is started over, once, as part of the invocation and on its time, and so is that of an
# environment whose process has ended in an earlier invocation.
_INIT_LIMIT = 10.0

_HOST = "127.0.0.1"


class ProcessRuntimeExecutor(RuntimeExecutor):
    """One execution environment. Its process starts with the first invocation (the cold start), so that what goes wrong
    there has a request id and a log; one that times out or exits is gone with all it started, and the next invocation
    starts another, on its own time, as Lambda does.

    LocalStack gives an environment one invocation at a time.
    """

    def __init__(self, id: str, function_version: FunctionVersion) -> None:
        super().__init__(id, function_version)
        self._variables: dict[str, str] = {}
        self._process: RuntimeProcess | None = None
        self._lock = threading.Lock()
        self._invoking = False
        self._stopped = False

    def start(self, env_vars: dict[str, str]) -> None:
        configuration = self.function_version.config
        self._variables = function_variables(
            env_vars,
            own=configuration.environment or {},
            handed_in=json.loads(os.environ["MINTMARK_FUNCTION_ENVIRONMENT"]),
            runtime=configuration.runtime,
            task_root=configuration.code.get_unzipped_code_location(),
        )

    def stop(self) -> None:
        """An invocation that is running ends first (at the function's timeout at the latest): Lambda lets it, when a
        function is updated or deleted."""
        with self._lock:
            self._stopped = True
            process = None if self._invoking else self._process
        if process is not None:
            process.kill()

    def invoke(self, payload: dict[str, str]) -> InvocationResult:
        with self._lock:
            self._invoking = True
        try:
            return self._answer(payload["invoke-id"], payload["invoked-function-arn"], payload["payload"])
        finally:
            with self._lock:
                self._invoking = False
                stopped = self._stopped
            if stopped and self._process is not None:
                self._process.kill()

    def _answer(self, request_id: str, function_arn: str, event: str) -> InvocationResult:
        configuration = self.function_version.config
        log: list[str] = []
        process, start, init_duration, error = self._initialised(request_id, log)
        initialised = error is None
        log.append(report.start_line(request_id, self.function_version.id.qualifier))

        answer = b""
        if error is None:
            end = start + configuration.timeout
            invocation = {
                "type": "invoke",
                "requestId": request_id,
                "invokedFunctionArn": function_arn,
                "event": event,
                "remainingTime": max(0.0, (end - monotonic()) * 1000),
            }
            said = process.next(end) if process.send(invocation, end) else None
            error = _failure(said, "result", request_id, configuration.timeout)
            memory = process.max_memory_used()
            if error is None:
                answer = said["payload"].encode()
            elif not _is_message(said, "error"):
                # A handler's own error leaves an environment as it was; anything else ends its process.
                process.kill()
        else:
            memory = None
        duration = min(monotonic() - start, configuration.timeout)

        log += process.take_lines()
        if error is not None:
            answer = json.dumps(error, ensure_ascii=False).encode()
            log += report.error_lines(_now(), request_id, error, initialised)
        log += report.end_lines(
            request_id,
            duration=duration,
            memory_size=configuration.memory_size,
            max_memory_used=memory,
            init_duration=init_duration,
            error=error,
            initialised=initialised,
        )
        return InvocationResult(request_id, answer, error is not None, "\n".join(log) + "\n")

    def _initialised(
        self, request_id: str, log: list[str]
    ) -> tuple[RuntimeProcess, float, float | None, FunctionError | None]:
        """The process to invoke, and when the invocation's time began (of the monotonic clock); how many seconds the init
        phase took, where it was not part of that time; and how the last init phase failed."""
        timeout = self.function_version.config.timeout
        if self._process is None:
            process, duration, error = self._init("init", _INIT_LIMIT, request_id, log)
            if error is None:
                return process, monotonic(), duration, None
        else:
            # What was written after the last answer.
            log += self._process.take_lines()
            if not self._process.ended.is_set():
                return self._process, monotonic(), None, None
        start = monotonic()
        process, _, error = self._init("invoke", timeout, request_id, log)
        return process, start, None, error

    def _init(
        self, phase: str, limit: float, request_id: str, log: list[str]
    ) -> tuple[RuntimeProcess, float, FunctionError | None]:
        """A new process, how many seconds its init phase took, and how that failed; then the process is gone."""
        began = monotonic()
        process = self._new_process()
        said = process.next(began + limit)
        duration = monotonic() - began
        error = _failure(said, "ready", request_id, self.function_version.config.timeout)
        if error is not None:
            process.kill()
        log += process.take_lines()
        if error is not None:
            log += report.failed_init_lines(_now(), phase, duration, error)
        return process, duration, error

    def _new_process(self) -> RuntimeProcess:
        self._process = RuntimeProcess(os.environ["MINTMARK_NODE"], os.environ["MINTMARK_RUNTIME"], self._variables)
        return self._process

    def get_address(self) -> str:
        return _HOST

    def get_endpoint_from_executor(self) -> str:
        return _HOST

    def get_runtime_endpoint(self) -> str:
        """Of LocalStack's own init program, which is not used here; its variables want one."""
        return f"http://{_HOST}:{config.GATEWAY_LISTEN[0].port}/_localstack_lambda/{self.id}"

    def get_logs(self) -> str:
        """LocalStack shows it where an invocation came back without a log, which none does here."""
        return ""

    @classmethod
    def prepare_version(cls, function_version: FunctionVersion) -> None:
        configuration = function_version.config
        if configuration.code is None or not str(configuration.runtime).startswith("nodejs"):
            raise ValueError(f"only Node.js functions in zip files can run here, not {configuration.runtime or 'images'}")
        configuration.code.prepare_for_execution()

    @classmethod
    def cleanup_version(cls, function_version: FunctionVersion) -> None:
        """Nothing to do: the unzipped code is LocalStack's own."""


def _is_message(said: dict | Exit | None, kind: str) -> bool:
    return isinstance(said, dict) and said.get("type") == kind


def _failure(said: dict | Exit | None, wanted: str, request_id: str, timeout: int) -> FunctionError | None:
    """How `said` fails the invocation, unless it is what was wanted. :param said: None is too late"""
    if said is None:
        return report.timed_out(request_id, timeout)
    if isinstance(said, Exit):
        return report.exited(request_id, said)
    if said.get("type") == wanted:
        return None
    if said.get("type") in ("init-error", "error", "fatal"):
        return said["error"]
    return report.protocol_broken(request_id)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
