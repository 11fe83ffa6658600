"""A stand-in for the model hub on loopback: its API as `huggingface_hub` calls it, and its faults.

As the real one: file addresses of large files redirect to another address, which takes ranges;
answers name the commit, the ETag and the size; gated repositories and what is not there are told
by `X-Error-Code`.
"""

import hashlib
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

LARGE = 4096


class Hub:
    """Repositories by name: of each, commits by hash, of each, files. `main` is the newest."""

    def __init__(self):
        self.repositories = {}
        self.gated = set()
        self.requests = []
        self.cut = {}
        """By path: how many more times its download stops after half of what was asked for."""

        self.damaged = set()
        self.url = ""
        self.storage = ""
        """Where large files lie: another host to the client, which follows the hub's own itself."""

    def publish(self, name, folder):
        """A new commit of a folder; gives its hash."""
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        text = "".join(f"{path} {hashlib.sha1(data).hexdigest()}\n" for path, data in files.items())
        commit = hashlib.sha1(text.encode()).hexdigest()
        self.repositories.setdefault(name, {})[commit] = files
        return commit

    def commit_of(self, name, revision):
        commits = self.repositories[name]
        return list(commits)[-1] if revision == "main" else revision if revision in commits else ""

    def asked(self, method, part):
        return [line for line in self.requests if line[0] == method and part in line[1]]


@contextmanager
def serving(hub):
    """The hub's address, while it serves."""

    class Handler(Answers):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    hub.storage = f"http://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub.url
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Answers(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path, self.headers.get("Range", "")))
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            self.info(found[1], found[2] or "main")
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self.resolve(*found.groups())
        elif found := re.fullmatch(r"/storage/([0-9a-f]{64})", path):
            self.storage(found[1])
        else:
            self.refuse(404, "EntryNotFound", "not found")

    def info(self, name, revision):
        commit = self.known(name, revision)
        if not commit:
            return
        siblings = []
        for path, data in self.hub.repositories[name][commit].items():
            entry = {"rfilename": path, "size": len(data), "blobId": hashlib.sha1(data).hexdigest()}
            if len(data) > LARGE:
                digest = hashlib.sha256(data).hexdigest()
                entry["lfs"] = {"sha256": digest, "size": len(data), "pointerSize": 134}
            siblings.append(entry)
        values = {"_id": "1", "id": name, "modelId": name, "sha": commit, "siblings": siblings}
        self.answer(200, json.dumps(values | {"tags": [], "private": False}).encode())

    def resolve(self, name, revision, path):
        commit = self.known(name, revision)
        if not commit:
            return
        if name in self.hub.gated:
            self.refuse(403, "GatedRepo", f"Access to model {name} is restricted.")
            return
        files = self.hub.repositories[name][commit]
        if path not in files:
            self.refuse(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit})
            return
        data = files[path]
        headers = {"X-Repo-Commit": commit}
        if len(data) > LARGE:
            digest = hashlib.sha256(data).hexdigest()
            headers |= {
                "X-Linked-Etag": f'"{digest}"',
                "X-Linked-Size": str(len(data)),
                "Location": f"{self.hub.storage}/storage/{digest}",
            }
            self.answer(302, b"", headers)
        else:
            tag = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            self.answer(200, data, headers | {"ETag": f'"{tag}"'})

    def storage(self, digest):
        name, data = next(
            (path, data)
            for commits in self.hub.repositories.values()
            for files in commits.values()
            for path, data in files.items()
            if hashlib.sha256(data).hexdigest() == digest
        )
        if name in self.hub.damaged:
            data = data[:-1] + bytes([data[-1] ^ 1])
        whole = len(data)
        start = int((re.match(r"bytes=(\d+)-", self.headers.get("Range", "")) or [0, 0])[1])
        part = data[start:]
        self.send_response(206 if start else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        self.send_header("ETag", f'"{digest}"')
        if start:
            self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.hub.cut.get(name, 0) > 0:
            self.hub.cut[name] -= 1
            self.wfile.write(part[: len(part) // 2])
            self.wfile.flush()
            self.close_connection = True
        else:
            self.wfile.write(part)

    def known(self, name, revision):
        """The commit, or '' once it is said what is not there."""
        if name not in self.hub.repositories:
            self.refuse(401, "RepoNotFound", "Repository not found")
            return ""
        commit = self.hub.commit_of(name, revision)
        if not commit:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit

    def refuse(self, status, code, message, headers=None):
        told = {"X-Error-Code": code, "X-Error-Message": message}
        self.answer(status, json.dumps({"error": message}).encode(), told | (headers or {}))

    def answer(self, status, body, headers=None):
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
