"""What LocalStack would put into /tmp by name goes into its own temporary folder (TMPDIR), which goes with it; another
user's LocalStack may have made that folder in /tmp."""

from localstack.runtime import hooks


@hooks.on_infra_start()
def keep_objects_in_own_folder() -> None:
    # Here, as this takes its time to import, which whoever only lists plugins need not spend.
    from localstack.services.s3.storage.ephemeral import EphemeralS3ObjectStore
    from localstack.utils.patch import patch

    @patch(EphemeralS3ObjectStore.__init__)
    def without_root_directory(init, self, *_, **__):
        # It makes one with tempfile then.
        init(self)
