"""LocalStack as a child of the local cloud, without Docker.

Not installed: local/localstack/start.ts puts this folder's parent on PYTHONPATH, where Python finds the package and its
entry point (mintmark_localstack-1.0.dist-info) as they stand in the checkout.
"""
