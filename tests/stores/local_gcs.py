"""A stand-in for Google Cloud Storage: its XML API as the documentation has it, over the local S3 server of `local_s3`.

The two differ in what lakehaul relies on: conditions are on an object's generation, a number, not on its ETag. Here it follows
from the ETag. Nothing checks credentials.
"""

import re
import threading
import urllib.parse

from local_s3 import KEY, REGION, LocalS3, Proxy, Request, environment_with, refusal

TOKEN = "very-secret-0123456789"
# moto keeps things from who names nobody, and looks no closer.
SIGNED = f"AWS4-HMAC-SHA256 Credential={KEY}/20260101/{REGION}/s3/aws4_request, SignedHeaders=host, Signature=0"
CONDITION = "x-goog-if-generation-match"


class LocalGcs(LocalS3):
    """The server while it is used in a `with`."""

    scheme, secret, no_such_place = "gs", TOKEN, "there is no such bucket.*NoSuchBucket"

    def __enter__(self):
        super().__enter__()
        self.one_at_a_time = threading.Lock()
        self.proxy = Proxy(self, self.meet)
        return self

    def __exit__(self, *_):
        self.proxy.close()
        super().__exit__()

    def environment(self):
        return environment_with(GOOGLE_BASE_URL=self.proxy.endpoint, GOOGLE_BEARER_TOKEN=TOKEN)

    def meet(self, request, _):
        condition = request.headers.get(CONDITION)
        if condition is None:
            return self.translated(request)
        with self.one_at_a_time:
            if condition != self.generation(request.path):
                return refusal(412, "PreconditionFailed")
            return self.translated(request)

    def generation(self, path):
        """The object's, "0" where there is none."""
        headers = {"Host": f"127.0.0.1:{self.port}", "Authorization": SIGNED}
        found = self.proxy.ask(Request(0, "HEAD", path, headers, b""))
        return generation_of(found) if found.status == 200 else "0"

    def translated(self, request):
        headers = {"Authorization": SIGNED}
        for name, value in request.headers.items():
            if name.lower() == "x-goog-copy-source":
                headers["x-amz-copy-source"] = "/" + value
            elif not name.lower().startswith(("x-goog-", "authorization")):
                headers[name] = value
        answer = self.proxy.ask(Request(request.number, request.method, request.path, headers, request.body))
        parts = urllib.parse.urlsplit(request.path)
        if answer.status in (200, 206) and parts.path.count("/") > 1 and "partNumber" not in parts.query:
            answer.headers = [*answer.headers, ("x-goog-generation", generation_of(answer))]
        return answer


def generation_of(answer):
    etags = [value for name, value in answer.headers if name.lower() == "etag"]
    # A finished upload has it in its body.
    etags += re.findall("<ETag>(?:&quot;|\")?([0-9a-f]+)", answer.body.decode("utf-8", "replace")) if not etags else []
    return str(int(etags[0].strip('"')[:12], 16) + 1) if etags else "1"
