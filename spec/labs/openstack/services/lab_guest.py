"""lab_guest.py FOLDER SERVER ...   What the guest of a server does to its disks.

  write PLACE      now, to the disk at that place; fails while it is off
  begin            the journal, from this moment on
  read PATH NAME   what a raw copy of that disk holds: "NAME GENERATION BYTES", or "NAME
                   torn": anything that a guest never wrote there at one time

A server whose metadata says `guest: writes` has one: it writes to all of its disks when it
is started and before it is off, and to the one at that place when it is told to. What it
writes is its generation, a number that is another one each time, at three places of a disk.
FOLDER/nova/disks/SERVER.guest keeps what each disk holds, and a journal: of each moment
whether the guest was off, and what its disks held. Nothing is written while it is off.
"""

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

BLOCK = 4096
SMALLEST = 1 << 30  # bytes of a volume before it grows
LOCKED = 10  # seconds that another may hold a disk's file


@contextlib.contextmanager
def held(path):
    """A lock between processes."""
    with open(path, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def volume_lock(mount, volume):
    """What is held while a volume's files change places, or are written."""
    return held(os.path.join(mount, f".{volume}.lock"))


def text_of(disk, generation):
    """What a guest writes there, a block of it."""
    line = f"{disk} {generation}\n".encode()
    return (line * (BLOCK // len(line) + 1))[:BLOCK]


def spots(size):
    """Where a guest writes: what it wrote there is still there when the disk has grown."""
    size = min(size, SMALLEST)
    return (0, size // 2 // BLOCK * BLOCK, size - BLOCK)


def _qemu_io(path, kind, commands):
    argv = ["qemu-io", "-f", kind]
    for command in commands:
        argv += ["-c", command]
    deadline = time.monotonic() + LOCKED
    while True:
        done = subprocess.run([*argv, path], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        if "lock" not in done.stderr or time.monotonic() > deadline:
            raise RuntimeError(f"{argv}: {done.stdout}{done.stderr}")
        time.sleep(0.05)


class Disk:
    """A file of Nova's, or a volume of Cinder's whose newest file may be another one."""

    def __init__(self, folder, name):
        self.name = name
        self.root = folder / "nova/disks" / name
        self.base = next((folder / "cinder/mounts").glob(f"*/volume-{name}"), None)

    def held(self):
        return volume_lock(self.base.parent, self.name) if self.base \
            else contextlib.nullcontext()

    def _newest(self):
        """(path, format)"""
        if not self.base:
            return self.root, "raw"
        info = Path(f"{self.base}.info")
        active = json.loads(info.read_text())["active"] if info.exists() else self.base.name
        path = self.base.parent / active
        return path, "raw" if path == self.base else "qcow2"

    def size(self):
        path, kind = self._newest()
        if kind == "raw":
            return path.stat().st_size
        done = subprocess.run(["qemu-img", "info", "-U", "--output=json", "-f", kind, path],
                              capture_output=True, check=True)
        return json.loads(done.stdout)["virtual-size"]

    def write(self, generation):
        with self.held():
            path, kind = self._newest()
            pattern = Path(f"{self.root}.pattern")
            pattern.write_bytes(text_of(self.name, generation))
            _qemu_io(path, kind, [f"write -s {pattern} {at} {BLOCK}"
                                  for at in spots(self.size())])

    def read(self):
        """The generation it holds; 0: nobody has written there yet."""
        with self.held():
            path, kind = self._newest()
            done = subprocess.run(
                ["qemu-img", "dd", "-U", "-f", kind, "-O", "raw", f"if={path}",
                 f"of={self.root}.head", f"bs={BLOCK}", "count=1"],
                capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{path}: {done.stderr}")
        words = Path(f"{self.root}.head").read_bytes().split(b"\n", 1)[0].split()
        return int(words[1]) if len(words) == 2 and words[0].decode() == self.name else 0


class Guest:
    """To be used with its lock held: `with guest.of(folder, server) as g`."""

    def __init__(self, folder, server):
        self.folder, self.path = folder, folder / f"nova/disks/{server}.guest"
        if self.path.exists():
            self.state = json.loads(self.path.read_text())
        else:
            self.state = {"on": False, "generation": 0, "disks": {}, "journal": []}

    def save(self):
        part = Path(f"{self.path}.part")
        part.write_text(json.dumps(self.state))
        part.rename(self.path)

    def note(self):
        """A moment; disks in the order of their devices."""
        disks = [self.state["disks"][device] for device in sorted(self.state["disks"])]
        self.state["journal"].append({"off": not self.state["on"], "disks": [
            dict(disk) for disk in disks]})
        self.save()

    def has(self, disks):
        """These are its disks: device -> name."""
        self.state["disks"] = {
            device: {"name": name, "generation": Disk(self.folder, name).read(),
                     "size": Disk(self.folder, name).size()}
            for device, name in disks.items()}

    def names(self):
        return {device: disk["name"] for device, disk in self.state["disks"].items()}

    def write(self, devices):
        self.state["generation"] += 1
        for device in devices:
            disk = self.state["disks"][device]
            Disk(self.folder, disk["name"]).write(self.state["generation"])
            disk["generation"] = self.state["generation"]
        self.note()

    def start(self, disks):
        self.state["on"] = True
        self.has(disks)
        self.note()
        self.write(sorted(self.state["disks"]))

    def stop(self):
        if self.state["on"]:
            self.write(sorted(self.state["disks"]))
            self.state["on"] = False
            self.note()


@contextlib.contextmanager
def of(folder, server):
    with held(Path(folder) / f"nova/disks/{server}.lock"):
        yield Guest(Path(folder), server)


def _is_as_written(file, size, texts):
    """Whether a sparse file holds the blocks of `texts`, offset -> block, and zeros."""
    at = 0
    while at < size:
        try:
            at = os.lseek(file.fileno(), at, os.SEEK_DATA) // BLOCK * BLOCK
        except OSError:  # nothing but a hole
            return True
        end = min(os.lseek(file.fileno(), at, os.SEEK_HOLE), size)
        file.seek(at)
        while at < end:
            block = file.read(min(BLOCK, size - at))
            if block != texts.get(at, bytes(len(block))):
                return False
            at += len(block)
    return True


def read(path, name):
    size = os.stat(path).st_size
    with open(path, "rb") as file:
        words = file.read(BLOCK).split(b"\n", 1)[0].split()
        generation = int(words[1]) if len(words) == 2 and words[1].isdigit() else 0
        texts = {at: text_of(name, generation) for at in spots(size)} if generation else {}
        good = all(file.seek(at) == at and file.read(BLOCK) == text
                   for at, text in texts.items())
        good = good and _is_as_written(file, size, texts)
    return f"{name} {generation} {size}" if good else f"{name} torn"


def main():
    folder, server, command, *rest = sys.argv[1:]
    if command == "read":
        print(read(*rest))
        return
    with of(folder, server) as guest:
        if command == "begin":
            guest.state["journal"] = []
            guest.note()
            return
        devices, place = sorted(guest.state["disks"]), int(rest[0])
        if not guest.state["on"] or place >= len(devices):
            sys.exit(1)
        guest.write([devices[place]])


if __name__ == "__main__":
    main()
