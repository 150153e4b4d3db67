"""The environment variables of an execution environment: pure functions."""

from collections.abc import Mapping
from pathlib import Path

# Of what LocalStack prepares, those that Lambda sets too (AWS Lambda, "Defined runtime environment variables"); the
# rest is for LocalStack's own init program.
_FROM_LOCALSTACK = (
    "_HANDLER",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
)


def function_variables(
    prepared: Mapping[str, object],
    own: Mapping[str, str],
    handed_in: Mapping[str, str],
    runtime: str,
    task_root: Path,
) -> dict[str, str]:
    """All of them; nothing is inherited.

    :param prepared: what LocalStack would give the function's container
    :param own: the function's own variables; those that are handed in win over them, and Lambda's over both
    :param handed_in: endpoints, and what the machine that runs the function has to say to it
    :param runtime: Lambda's identifier, e.g. nodejs24.x
    """
    endpoint = prepared.get("AWS_ENDPOINT_URL")
    return {
        **own,
        **({} if endpoint is None else {"AWS_ENDPOINT_URL": str(endpoint)}),
        **handed_in,
        **{name: str(prepared[name]) for name in _FROM_LOCALSTACK if name in prepared},
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{runtime}",
        "LAMBDA_TASK_ROOT": str(task_root),
        "LANG": "en_US.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "TZ": "UTC",
    }
