"""What the checks of lakes in a bucket share: a local S3 server (moto), calls of lakehaul, and a proxy between the two."""

import http.client
import http.server
import os
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time

import boto3

# Only for the local server; the secret is long enough to be looked for in what lakehaul says.
KEY, SECRET, REGION = "AKIDLOCAL", "very-secret-0123456789", "us-east-1"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def environment_with(**variables):
    """An environment for lakehaul that has nothing of the machine's own settings of stores."""
    settings = ("AWS_", "AZURE_", "GOOGLE_", "LAKEHAUL_")
    own = {name: value for name, value in os.environ.items() if not name.startswith(settings)}
    return own | {"HOME": "/nonexistent"} | variables


def environment(endpoint, **more):
    """The environment for a local S3 server."""
    keys = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": REGION, "AWS_ENDPOINT_URL": endpoint}
    return environment_with(**keys | more)


def wait_for(server, ask):
    """Asks until it is answered; `server` is a process that has just been started."""
    for _ in range(150):
        try:
            return ask()
        except Exception:
            time.sleep(0.2)
    server.kill()
    raise RuntimeError(f"{server.args[:3]} does not start")


def run(program, *words, endpoint, expect=0, **more):
    """Runs lakehaul with a local S3 server to its end; `expect`: the exit code, or None for any."""
    return run_in(environment(endpoint, **more), program, *words, expect=expect)


def run_in(environ, program, *words, expect=0):
    ended = subprocess.run([program, *words], env=environ, capture_output=True, text=True)
    assert expect is None or ended.returncode == expect, f"{words}: {ended.returncode}, not {expect}\n{ended.stderr}"
    return ended


class LocalS3:
    """moto's server while it is used in a `with`, and a client of it."""

    scheme, secret, no_such_place = "s3", SECRET, "there is no such bucket.*NoSuchBucket"
    # Status and code of what may be tried again: in trouble, and for a conditional write that meets another one.
    troubles = ((500, "InternalError"), (503, "SlowDown"), (503, "ServiceUnavailable"))
    conflict = (409, "ConditionalRequestConflict")
    # An upload that is half-way stays until somebody aborts it.
    forgets_uploads = False

    def __enter__(self):
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # moto looks whether an object is there and writes it in two steps, a store in one.
        self.conditional = threading.Lock()
        self.client = boto3.client(
            "s3", endpoint_url=self.endpoint, aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name=REGION
        )
        wait_for(self.process, self.client.list_buckets)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def environment(self, endpoint=None, **more):
        """For lakehaul; `endpoint`: a proxy's, before the server."""
        return environment(endpoint or self.endpoint, **more)

    def refusal(self, status, code):
        return refusal(status, code)

    def make(self, bucket):
        self.client.create_bucket(Bucket=bucket)

    def objects(self, bucket, prefix=""):
        """Key and size of each object."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return {entry["Key"]: entry["Size"] for page in pages for entry in page.get("Contents", [])}

    def uploads(self, bucket):
        return self.client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])

    def get(self, bucket, key):
        return self.client.get_object(Bucket=bucket, Key=key)["Body"].read()

    def put(self, bucket, key, body):
        self.client.put_object(Bucket=bucket, Key=key, Body=body)

    def delete(self, bucket, key):
        self.client.delete_object(Bucket=bucket, Key=key)

    def remove(self, bucket):
        for upload in self.uploads(bucket):
            self.client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        for key in self.objects(bucket):
            self.delete(bucket, key)
        self.client.delete_bucket(Bucket=bucket)

    def filesystem(self):
        import pyarrow.fs

        return pyarrow.fs.S3FileSystem(
            access_key=KEY, secret_key=SECRET, endpoint_override=self.endpoint, region=REGION, scheme="http"
        )


class Request:
    """One of lakehaul's: `number` counts from 1."""

    def __init__(self, number, method, path, headers, body):
        self.number, self.method, self.path, self.headers, self.body = number, method, path, headers, body

    def __str__(self):
        return f"{self.method} {self.path}"


class Answer:
    """The server's; `half`: only the first half of the body arrives."""

    def __init__(self, status, headers, body, half=False):
        self.status, self.headers, self.body, self.half = status, headers, body, half


def refusal(status, code, extra="", headers=(), message="it was to be so"):
    """An answer as S3 gives it when it does not do what it is asked for."""
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message>{extra}</Error>'
    return Answer(status, [("Content-Type", "application/xml"), *headers], body.encode())


class Proxy:
    """Passes requests on to the server.

    `meet(request, carry_out)` is called for each, in a thread of its connection, and gives the answer that lakehaul gets, or
    None: then the connection is cut. `carry_out()` asks the server.
    """

    def __init__(self, server, meet=None):
        self.server = server
        self.meet = meet or (lambda _, carry_out: carry_out())
        self.lock = threading.Lock()
        self.count = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def handle_any(self):
                outer.handle(self)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any

            def log_message(self, *_):
                pass

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except OSError:
                    # lakehaul is gone.
                    self.close_connection = True

        class Listener(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 128

            def handle_error(self, *_):
                pass

        self.listener = Listener(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.listener.server_port}"
        threading.Thread(target=self.listener.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.listener.shutdown()
        self.listener.server_close()

    def handle(self, handler):
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        with self.lock:
            self.count += 1
            request = Request(self.count, handler.command, handler.path, handler.headers, body)
        answer = self.meet(request, lambda: self.carry_out(request))
        if answer is None:
            # A reset, not an end.
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.close_connection = True
            handler.connection.close()
            return
        handler.send_response_only(answer.status)
        skipped = {"connection", "transfer-encoding", "content-length", "keep-alive"}
        length = str(len(answer.body))
        for name, value in answer.headers:
            if name.lower() not in skipped:
                handler.send_header(name, value)
            elif name.lower() == "content-length" and request.method == "HEAD":
                length = value
        if answer.status != 204:
            handler.send_header("Content-Length", length)
        handler.end_headers()
        if answer.half:
            handler.wfile.write(answer.body[: len(answer.body) // 2])
            handler.close_connection = True
        elif request.method != "HEAD":
            handler.wfile.write(answer.body)
        handler.wfile.flush()

    def carry_out(self, request):
        if request.method == "PUT" and ("If-Match" in request.headers or "If-None-Match" in request.headers):
            with self.server.conditional:
                return self.ask(request)
        return self.ask(request)

    def ask(self, request):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=300)
        try:
            connection.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                if name.lower() != "connection":
                    connection.putheader(name, value)
            connection.putheader("Connection", "close")
            connection.endheaders(request.body or None)
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read())
        finally:
            connection.close()
