"""A local server of Azure blobs (azurite, from npm), as `local_s3` has one of S3."""

import subprocess
import tempfile

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient

from local_s3 import environment_with, free_port, wait_for

# What azurite knows without being told; the key is printed in its documentation.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class LocalAzure:
    """azurite while it is used in a `with`, and a client of it."""

    scheme, secret, no_such_place = "az", KEY, "there is no such (bucket|container).*ContainerNotFound"

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

    def environment(self):
        return environment_with(
            AZURE_STORAGE_ACCOUNT_NAME=ACCOUNT,
            AZURE_STORAGE_ACCOUNT_KEY=KEY,
            AZURE_STORAGE_USE_EMULATOR="true",
            AZURITE_BLOB_STORAGE_URL=self.endpoint,
        )

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

    def delete(self, container, name):
        try:
            self.client.get_blob_client(container, name).delete_blob()
        except ResourceNotFoundError:
            # As S3: what is not there need not be removed.
            pass

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
