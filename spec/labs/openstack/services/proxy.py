"""proxy.py DIR PORT CONTROL   All services behind one TLS port, as clouds have them.

https://127.0.0.1:PORT/identity/..., /compute, /volume, /image, /network go to the service of
that name. What is asked of it is counted, and can be hurt, by way of http://127.0.0.1:CONTROL:

  POST /faults  {"match": "GET /image/v2/.*file", "status": 503, "times": 2, "skip": 1,
                 "headers": {}, "body": "...", "cut": BYTES, "hold": SECONDS, "rate": BYTES,
                 "lost": true, "gate": "NAME", "flip": BYTE, "change": {"FIELD": VALUE},
                 "name": "NAME"}
                match is a regular expression over "METHOD PATH"; status answers in the
                service's place; cut closes the connection after so many bytes of the body;
                hold waits before it is passed on; rate limits bytes a second of the body;
                lost closes the connection at once, though the request is passed on; gate
                passes it on when that gate is opened; flip changes that byte of the body; change
                puts such fields into a JSON object, without those whose value is null.
                `times` 0: until /reset
  POST /calm/NAME  no fault of that name any more
  POST /open/NAME  that gate, for all who wait and who come
  POST /reset   no faults, no counts; gates are open for who waits, and then closed
  GET  /state   {"requests": ["METHOD PATH", ...], "refused": those answered 401 by a service,
                 "waiting": gates that somebody has come to, "tokens", "ranges": [...]}
"""

import http.client
import http.server
import json
import re
import socket
import socketserver
import ssl
import sys
import threading
import time
from pathlib import Path

FOLDER, PORT, CONTROL = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
BACKENDS = json.loads((FOLDER / "backends.json").read_text())  # name -> port
CHUNK = 256 * 1024
MOST = 20000  # requests remembered
GATE = 300    # seconds that a gate may stay closed
HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "proxy-connection"}

lock = threading.Lock()
faults = []
gates = {}  # name -> threading.Event
seen = {"requests": [], "refused": [], "waiting": [], "tokens": [], "ranges": []}


def remember(line, headers):
    with lock:
        seen["requests"] = seen["requests"][-MOST:] + [line]
        token = headers.get("X-Auth-Token")
        if token and token not in seen["tokens"]:
            seen["tokens"].append(token)
        if headers.get("Range"):
            seen["ranges"].append(headers["Range"])


def fault_of(line):
    """The fault due for a request, used up by it."""
    with lock:
        for fault in faults:
            if not re.search(fault["match"], line):
                continue
            if fault.get("skip", 0) > 0:
                fault["skip"] -= 1
                continue
            if fault.get("times", 1) == 1:
                faults.remove(fault)
            elif fault.get("times", 1) > 1:
                fault["times"] -= 1
            return fault
    return {}


def gate_of(name):
    """With the lock held."""
    return gates.setdefault(name, threading.Event())


class Quiet(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass


class Proxy(Quiet):
    protocol_version = "HTTP/1.1"

    def setup(self):
        self.request.settimeout(600)
        self.request.do_handshake()
        super().setup()

    def answer(self, status, body, headers):
        data = body.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def pass_on(self):
        line = f"{self.command} {self.path}"
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        remember(line, self.headers)
        fault = fault_of(line)
        if fault.get("lost"):
            self.close_connection = True
            self.request.shutdown(socket.SHUT_RDWR)
        if "gate" in fault:
            with lock:
                gate = gate_of(fault["gate"])
                seen["waiting"].append(fault["gate"])
            gate.wait(GATE)
        time.sleep(fault.get("hold", 0))
        if "status" in fault:
            return self.answer(fault["status"], fault.get("body", "{}"),
                               fault.get("headers", {}))
        parts = self.path.split("/", 2)
        port = BACKENDS.get(parts[1].split("?")[0])
        if not port:
            return self.answer(404, "{}", {})
        self.relay(port, "/" + (parts[2] if len(parts) > 2 else ""), body, fault)

    def relay(self, port, path, body, fault):
        backend = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        try:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP}
            backend.request(self.command, path, body or None, headers)
            answer = backend.getresponse()
            if answer.status == 401:
                with lock:
                    seen["refused"].append(f"{self.command} {self.path}")
            self.copy(answer, fault)
        finally:
            backend.close()

    def copy(self, answer, fault):
        if "change" in fault and answer.status < 300:
            return self.answer_changed(answer, fault["change"])
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in HOP:
                self.send_header(name, value)
        # An answer without a length ends with the connection.
        if answer.getheader("Content-Length") is None and answer.status != 204:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        left = fault.get("cut")
        began, sent = time.monotonic(), 0
        while data := answer.read(min(CHUNK, left) if left else CHUNK):
            if 0 <= fault.get("flip", -1) - sent < len(data):
                at = fault["flip"] - sent
                data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]
            self.wfile.write(data)
            sent += len(data)
            if fault.get("rate"):
                time.sleep(max(0, sent / fault["rate"] - (time.monotonic() - began)))
            if left is not None:
                left -= len(data)
                if left <= 0:
                    self.close_connection = True
                    break

    def answer_changed(self, answer, fields):
        document = {**json.loads(answer.read()), **fields}
        kept = {k: v for k, v in document.items() if v is not None}
        self.answer(answer.status, json.dumps(kept), {"Content-Type": "application/json"})

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = pass_on


class Control(Quiet):
    def do_GET(self):
        with lock:
            self.reply(json.dumps(seen))

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with lock:
            if self.path == "/faults":
                faults.append(json.loads(body))
            elif self.path.startswith("/calm/"):
                name = self.path.removeprefix("/calm/")
                faults[:] = [fault for fault in faults if fault.get("name") != name]
            elif self.path.startswith("/open/"):
                gate_of(self.path.removeprefix("/open/")).set()
            else:
                faults.clear()
                for gate in gates.values():
                    gate.set()
                gates.clear()
                for name in seen:
                    seen[name] = []
        self.reply("{}")

    def reply(self, text):
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass  # clients go away as they like


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FOLDER / "tls/server.crt", FOLDER / "tls/server.key")
    server = Server(("127.0.0.1", PORT), Proxy)
    server.socket = context.wrap_socket(server.socket, server_side=True,
                                        do_handshake_on_connect=False)
    control = Server(("127.0.0.1", CONTROL), Control)
    threading.Thread(target=control.serve_forever, daemon=True).start()
    server.serve_forever()


main()
