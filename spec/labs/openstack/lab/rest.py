"""Requests to the lab's services, as an administrator."""

import json
import time
import urllib.error
import urllib.request

from .processes import Broken

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def answers(url):
    """Whether anything speaks HTTP there."""
    try:
        _opener.open(url, timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def exchange(method, url, body=None, headers=None):
    """(status, headers, document or None)"""
    data = body
    headers = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        data = json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        with _opener.open(request, timeout=120) as answer:
            status, got, text = answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as problem:
        status, got, text = problem.code, problem.headers, problem.read()
    try:
        document = json.loads(text) if text else None
    except ValueError:
        document = None
    return status, got, document


class Account:
    """A user's token in a project, and what may be done with it."""

    def __init__(self, ports, user, password, project):
        self.urls = ports
        self.auth = {"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": user, "domain": {"id": "default"}, "password": password}}},
            "scope": {"project": {"name": project, "domain": {"id": "default"}}},
        }}
        self.token = None
        self.project = None

    def log_in(self):
        status, headers, body = exchange(
            "POST", f"{self.urls['identity']}/v3/auth/tokens", self.auth)
        if status != 201:
            raise Broken(f"no token: {status} {body}")
        self.token = headers["X-Subject-Token"]
        self.project = body["token"]["project"]["id"]
        return self

    def call(self, method, service, path, body=None, headers=None):
        """The document of a good answer; anything else is the end."""
        url = self.url(service) + path
        status, _, document = exchange(
            method, url, body, {"X-Auth-Token": self.token, **(headers or {})})
        if status >= 300:
            raise Broken(f"{method} {url}: {status} {document}")
        return document

    def url(self, service):
        suffix = {"identity": "/v3", "image": "/v2", "network": "/v2.0", "compute": "/v2.1",
                  "volume": f"/v3/{self.project}"}[service]
        return self.urls[service] + suffix

    def get(self, service, path):
        return self.call("GET", service, path)

    def post(self, service, path, body):
        return self.call("POST", service, path, body)

    def until(self, what, service, path, wanted, seconds=120):
        """Polls the one resource there until its status is `wanted`."""
        deadline = time.monotonic() + seconds
        while True:
            document = self.get(service, path)
            thing = document if "status" in document else next(iter(document.values()))
            status = thing["status"].lower()
            if status == wanted:
                return thing
            if status.startswith("error") or time.monotonic() > deadline:
                raise Broken(f"{what} is {status}, not {wanted}: {thing}")
            time.sleep(0.1)
