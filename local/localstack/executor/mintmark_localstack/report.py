"""What Lambda says about an invocation, in its log and in its answer: pure functions."""

import json
import math
from dataclasses import dataclass

FunctionError = dict[str, object]
"""errorType, errorMessage and, where the function's own code failed, trace."""


@dataclass(frozen=True)
class Exit:
    """How a process ended: one of the two is None."""

    code: int | None
    signal: str | None


def timed_out(request_id: str, timeout: int) -> FunctionError:
    return _error("Sandbox.Timedout", request_id, f"Task timed out after {timeout:.2f} seconds")


def exited(request_id: str, exit: Exit) -> FunctionError:
    if exit.signal is not None:
        how = f"Runtime exited with error: signal: {exit.signal}"
    elif exit.code == 0:
        how = "Runtime exited without providing a reason"
    else:
        how = f"Runtime exited with error: exit status {exit.code}"
    return _error("Runtime.ExitError", request_id, how)


def protocol_broken(request_id: str) -> FunctionError:
    return _error("Runtime.Unknown", request_id, "Runtime broke its protocol")


def _error(error_type: str, request_id: str, text: str) -> FunctionError:
    return {"errorType": error_type, "errorMessage": f"RequestId: {request_id} Error: {text}"}


def start_line(request_id: str, version: str) -> str:
    return f"START RequestId: {request_id} Version: {version}"


def error_lines(time: str, request_id: str, error: FunctionError, initialised: bool) -> list[str]:
    """How an invocation failed, between START and END.

    :param initialised: False where the init phase failed: what the function's own code did there is told by then
    """
    match error["errorType"]:
        case "Sandbox.Timedout":
            return [f"{time} {request_id} {str(error['errorMessage']).partition(' Error: ')[2]}"]
        case "Runtime.ExitError":
            return [str(error["errorMessage"]), "Runtime.ExitError"]
    if not initialised:
        return []
    return [f"{time}\t{request_id}\tERROR\tInvoke Error\t{_json(error)}"]


def failed_init_lines(time: str, phase: str, duration: float, error: FunctionError) -> list[str]:
    """:param phase: init, or invoke for one that is part of an invocation :param duration: in seconds"""
    what = f"INIT_REPORT Init Duration: {duration * 1000:.2f} ms\tPhase: {phase}"
    match error["errorType"]:
        case "Sandbox.Timedout":
            return [f"{what}\tStatus: timeout"]
        case kind:
            # Lambda's Node.js runtime tells what it caught; of an exit there was nobody to tell.
            told = [] if kind == "Runtime.ExitError" else [f"{time}\tundefined\tERROR\tUncaught Exception \t{_json(error)}"]
            return [*told, f"{what}\tStatus: error\tError Type: {kind}"]


def _json(error: FunctionError) -> str:
    return json.dumps(error, ensure_ascii=False)


def end_lines(
    request_id: str,
    *,
    duration: float,
    memory_size: int,
    max_memory_used: int | None,
    init_duration: float | None,
    error: FunctionError | None,
    initialised: bool,
) -> list[str]:
    """:param duration: seconds, as `init_duration` is :param max_memory_used: in MB, where it is known
    :param initialised: False where the init phase failed"""
    fields = [
        f"REPORT RequestId: {request_id}",
        f"Duration: {duration * 1000:.2f} ms",
        # The init phase is billed since August 2025.
        f"Billed Duration: {math.ceil((duration + (init_duration or 0)) * 1000)} ms",
        f"Memory Size: {memory_size} MB",
    ]
    if max_memory_used is not None:
        fields.append(f"Max Memory Used: {max_memory_used} MB")
    if init_duration is not None:
        fields.append(f"Init Duration: {init_duration * 1000:.2f} ms")
    match None if error is None else error["errorType"]:
        case "Sandbox.Timedout":
            fields.append("Status: timeout")
        case str() as kind if not initialised or kind.startswith("Runtime."):
            fields += ["Status: error", f"Error Type: {kind}"]
    return [f"END RequestId: {request_id}", "\t".join(fields)]
