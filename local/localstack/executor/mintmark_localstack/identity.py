"""LocalStack says who it is, so that whoever started it does not take another program's answer on its port for its own."""

import os
from concurrent.futures import Future

from localstack.http import Response
from localstack.runtime import get_current_runtime, hooks
from localstack.services.internal import get_internal_apis

# The exit code that local/localstack/start.ts knows.
_CANNOT_LISTEN = 98


@hooks.on_infra_start()
def say_who_this_is() -> None:
    """Before LocalStack listens."""
    identity = os.environ["MINTMARK_IDENTITY"]
    get_internal_apis().add("/_localstack/mintmark", lambda _request, **_: Response(identity, mimetype="text/plain"))


@hooks.on_infra_ready()
def end_without_port() -> None:
    """hypercorn keeps to itself that it could not have its port, and LocalStack takes anybody who listens there for it."""
    # There is no other way to its servers' ends.
    for server in get_current_runtime().components.runtime_server._futures:
        server.add_done_callback(_end)


def _end(server: Future) -> None:
    if not server.cancelled() and (error := server.exception()) is not None:
        print(f"LocalStack cannot listen: {error}", flush=True)
        os._exit(_CANNOT_LISTEN)
