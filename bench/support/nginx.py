"""nginx over one folder, on loopback: plain, and by TLS.

Where it is not installed its package is unpacked and no more: installing it would start a
service.
"""

import glob
import os
import shutil
import socket
import subprocess
import time

CONFIG = """
daemon off; worker_processes %(workers)d; pid %(dir)s/pid; error_log %(dir)s/error.log;
events { worker_connections 256; }
http {
  access_log off; sendfile on; etag on;
  client_body_temp_path %(dir)s/1; proxy_temp_path %(dir)s/2; fastcgi_temp_path %(dir)s/3;
  uwsgi_temp_path %(dir)s/4; scgi_temp_path %(dir)s/5;
  root %(root)s;
  server { listen 127.0.0.1:%(plain)d; }
  server {
    listen 127.0.0.1:%(tls)d ssl;
    ssl_certificate %(dir)s/cert.pem; ssl_certificate_key %(dir)s/key.pem;
  }
}
"""


def _program(work):
    found = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if found:
        return found
    folder = os.path.join(work, "nginx.package")
    found = os.path.join(folder, "usr/sbin/nginx")
    if not os.path.exists(found):
        os.makedirs(folder, exist_ok=True)
        subprocess.run(["apt-get", "-q", "download", "nginx"], cwd=folder, check=True)
        subprocess.run(["dpkg", "-x", glob.glob(folder + "/*.deb")[0], folder], check=True)
    return found


def _free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _certificate(folder):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", folder + "/key.pem", "-out", folder + "/cert.pem"],
        check=True, stderr=subprocess.DEVNULL)


class Nginx:
    """Runs from its making until close()."""

    def __init__(self, work, root, workers=1, prefix=()):
        self.folder = os.path.join(work, "nginx")
        os.makedirs(self.folder, exist_ok=True)
        _certificate(self.folder)
        self.ca = self.folder + "/cert.pem"
        self.plain, self.tls = _free_ports(2)
        config = self.folder + "/nginx.conf"
        with open(config, "w") as file:
            file.write(CONFIG % {
                "workers": workers, "dir": self.folder, "root": root, "plain": self.plain,
                "tls": self.tls})
        self.prefix = prefix
        self.process = subprocess.Popen(
            [*prefix, _program(work), "-p", self.folder, "-c", config, "-e", self.folder + "/error.log"])
        self._wait()

    def _wait(self):
        probe = ["curl", "-s", "-o", os.devnull, "http://127.0.0.1:%d/" % self.plain]
        for _ in range(200):
            if subprocess.run([*self.prefix, *probe]).returncode == 0:
                return
            time.sleep(0.05)
        raise SystemExit("nginx does not listen; see %s/error.log" % self.folder)

    def url(self, path, kind="plain"):
        scheme = "https" if kind == "tls" else "http"
        return "%s://127.0.0.1:%d/%s" % (scheme, getattr(self, kind), os.path.basename(path))

    def pids(self):
        """Of the workers, which do the work."""
        path = "/proc/%d/task/%d/children" % (self.process.pid, self.process.pid)
        with open(path) as file:
            return [int(pid) for pid in file.read().split()]

    def close(self):
        self.process.terminate()
        self.process.wait()
