"""A local server of Azure blobs (azurite, from npm), as `local_s3` has one of S3."""

import contextlib
import subprocess
import tempfile

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient

from local_s3 import environment_with, free_port, refusal, wait_for

# What azurite knows without being told; the key is printed in its documentation.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class LocalAzure:
    """azurite while it is used in a `with`, and a client of it."""

    scheme, secret, no_such_place = "az", KEY, "there is no such (bucket|container).*ContainerNotFound"
    # As `LocalS3` has them. Conditional writes that meet are answered as any other: there is nothing to be tried again.
    troubles = ((500, "InternalError"), (500, "OperationTimedOut"), (503, "ServerBusy"))
    conflict = None
    # Blocks that nobody has made a blob of are dropped after a week; nothing else takes them back.
    forgets_uploads = True
    # azurite looks whether a blob is there and writes it in one step.
    conditional = contextlib.nullcontext()

    def __init__(self, program):
        self.program = program

    def __enter__(self):
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.folder = tempfile.TemporaryDirectory()
        options = ["--location", self.folder.name, "--blobHost", "127.0.0.1", "--blobPort", str(self.port), "--skipApiVersionCheck"]
        self.process = subprocess.Popen([self.program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.client = BlobServiceClient(f"{self.endpoint}/{ACCOUNT}", credential=KEY, retry_total=0)
        wait_for(self.process, self.client.get_service_properties)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()

    def environment(self, endpoint=None, **more):
        """For lakehaul; `endpoint`: a proxy's, before the server.

        A copy's source then names the proxy, in a signed header; azurite looks at its path only, so this does no harm.
        """
        return environment_with(
            AZURE_STORAGE_ACCOUNT_NAME=ACCOUNT,
            AZURE_STORAGE_ACCOUNT_KEY=KEY,
            AZURE_STORAGE_USE_EMULATOR="true",
            AZURITE_BLOB_STORAGE_URL=endpoint or self.endpoint,
            **more,
        )

    def refusal(self, status, code):
        """The body is as S3's; to HEAD only the header says why."""
        return refusal(status, code, headers=[("x-ms-error-code", code)])

    def make(self, container):
        self.client.create_container(container)

    def objects(self, container, prefix=""):
        """Name and size of each blob."""
        blobs = self.client.get_container_client(container).list_blobs(name_starts_with=prefix)
        return {blob.name: blob.size for blob in blobs}

    def uploads(self, container):
        """Blobs of which there are only blocks."""
        client = self.client.get_container_client(container)
        names = [blob.name for blob in client.list_blobs(include=["uncommittedblobs"])]
        return sorted(set(names) - set(self.objects(container)))

    def get(self, container, name):
        return self.client.get_blob_client(container, name).download_blob().readall()

    def put(self, container, name, body):
        self.client.get_blob_client(container, name).upload_blob(body, overwrite=True)

    def delete(self, container, name):
        try:
            self.client.get_blob_client(container, name).delete_blob()
        except ResourceNotFoundError:
            # As S3: what is not there need not be removed.
            pass

    def remove(self, container):
        self.client.delete_container(container)

    def filesystem(self):
        import pyarrow.fs

        here = f"127.0.0.1:{self.port}"
        return pyarrow.fs.AzureFileSystem(
            account_name=ACCOUNT,
            account_key=KEY,
            blob_storage_authority=here,
            blob_storage_scheme="http",
            dfs_storage_authority=here,
            dfs_storage_scheme="http",
        )
