from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin


class ProcessRuntimeExecutorPlugin(RuntimeExecutorPlugin):
    """What LAMBDA_RUNTIME_EXECUTOR=process names."""

    name = "process"

    def load(self, *args, **kwargs):
        # Here, because importing the executor imports LocalStack's Lambda, long before anybody needs it.
        from mintmark_localstack.executor import ProcessRuntimeExecutor

        return ProcessRuntimeExecutor
