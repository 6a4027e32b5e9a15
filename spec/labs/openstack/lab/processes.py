"""Processes of the lab: started in sessions of their own, found again by PID files.

A PID file holds the PID and the start time of the process, so that a number which another
process has by now is never taken for ours.
"""

import os
import signal
import subprocess
import time
from pathlib import Path


class Broken(Exception):
    """Something of the lab does not do what it must; the text says what."""


def start_time(pid):
    """When the process began, in the kernel's ticks; None: there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rsplit(")", 1)[1].split()
    return None if fields[0] == "Z" else fields[19]


class Processes:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.run = self.folder / "run"
        self.log = self.folder / "log"
        for path in (self.run, self.log):
            path.mkdir(parents=True, exist_ok=True)
        self.children = {}

    def pid(self, name):
        """The PID of a process that runs, or None."""
        child = self.children.get(name)
        if child and child.poll() is not None:
            return None
        try:
            pid, began = (self.run / f"{name}.pid").read_text().split()
        except (OSError, ValueError):
            return None
        return int(pid) if start_time(pid) == began else None

    def start(self, name, argv, env=None):
        if self.pid(name):
            return
        with open(self.log / f"{name}.log", "ab") as log:
            child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
                start_new_session=True, cwd=self.folder)
        self.children[name] = child
        (self.run / f"{name}.pid").write_text(f"{child.pid} {start_time(child.pid)}\n")

    def wait_for(self, what, check, seconds=90, needs=()):
        """Until check() is true; fails at once when a process in `needs` has ended."""
        deadline = time.monotonic() + seconds
        while True:
            value = check()
            if value:
                return value
            for name in needs:
                if not self.pid(name):
                    raise Broken(f"{what}: {name} has ended: {self.tail(name)}")
            if time.monotonic() > deadline:
                raise Broken(f"{what}: not within {seconds} s; see {self.log}")
            time.sleep(0.1)

    def tail(self, name):
        try:
            return (self.log / f"{name}.log").read_text(errors="replace")[-2000:]
        except OSError:
            return "no log"

    def names(self):
        return sorted(path.stem for path in self.run.glob("*.pid"))

    def stop(self, names, seconds):
        """SIGTERM to each one's session, SIGKILL to what is left after so many seconds."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for name in names:
                pid = self.pid(name)
                if pid:
                    os.killpg(pid, number)
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline and any(self.pid(name) for name in names):
                time.sleep(0.05)
        for name in names:
            (self.run / f"{name}.pid").unlink(missing_ok=True)
