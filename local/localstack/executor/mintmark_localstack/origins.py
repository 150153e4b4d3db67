"""No web page may call LocalStack, which lets its maker's own (https://app.localstack.cloud) and some of this machine's do so:
what it holds are somebody's test data, and what it runs are this machine's processes. Nothing of ours is a page of these."""

from localstack.runtime import hooks


@hooks.on_infra_start()
def allow_no_origin() -> None:
    # Here, as this takes its time to import, which whoever only lists plugins need not spend.
    from localstack.aws.handlers import cors

    # In place: others have imported the list.
    cors.ALLOWED_CORS_ORIGINS.clear()
