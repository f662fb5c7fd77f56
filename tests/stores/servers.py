"""Which store a check is about: the options that say so, and its local server."""

import local_s3


def add_options(parser, stores):
    parser.add_argument("--store", choices=stores, default="s3", help="[s3]")
    parser.add_argument("--azurite", default="azurite-blob", help="azurite's program for blobs [azurite-blob]")


def server_of(arguments):
    if arguments.store == "s3":
        return local_s3.LocalS3()
    if arguments.store == "gcs":
        import local_gcs

        return local_gcs.LocalGcs()
    # Its client need not be there for S3.
    import local_azure

    return local_azure.LocalAzure(arguments.azurite)
