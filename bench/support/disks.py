"""The disks that bench/ measures with, made once and kept in a folder.

  linux   10 GiB, an ext4 of at least 4 GB: copies of the tests' Debian guest
  sparse  40 GiB, an ext4 with 1 GiB of the same
  noise   4 GiB that no compression makes smaller

A grain is compressed by itself, so copies cost a stream as much as other data would.
Scaled by N, all sizes are an Nth, as far as whole copies go.
"""

import os
import shutil
import subprocess

from . import vmdk

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MIB, GIB = 1 << 20, 1 << 30
CASES = ("linux", "sparse", "noise")
KEY = "00112233445566778899aabbccddeeff"


def _run(*argv, **options):
    return subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, **options)


def _guest_tree(work):
    """The files of the guest's root file system."""
    guest, tree = os.path.join(work, "guest"), os.path.join(work, "tree")
    if os.path.isdir(tree):
        return tree
    _run(os.path.join(TREE, "spec/labs/guest/build"), guest)
    raw, part = os.path.join(guest, "root.raw"), os.path.join(work, "root.part")
    layout = subprocess.run(["sfdisk", "-l", "-o", "start,type", raw], check=True, text=True,
                            stdout=subprocess.PIPE).stdout
    start = next(line.split()[0] for line in layout.splitlines() if "Linux root" in line)
    _run("dd", "if=" + raw, "of=" + part, "bs=1M", "conv=sparse", "iflag=skip_bytes",
         "skip=%d" % (int(start) * 512), stderr=subprocess.DEVNULL)
    shutil.rmtree(tree + ".part", ignore_errors=True)
    os.mkdir(tree + ".part")
    _run("debugfs", "-R", "rdump / %s.part" % tree, part, stderr=subprocess.DEVNULL)
    os.unlink(part)
    os.rename(tree + ".part", tree)
    return tree


def _used(path):
    return int(subprocess.run(["du", "-s", "--block-size=1", path], check=True, text=True,
                              stdout=subprocess.PIPE).stdout.split()[0])


def _file_system(work, path, capacity, data):
    """An ext4 with so many copies of the guest that it holds `data` bytes."""
    tree, copies = _guest_tree(work), os.path.join(work, "copies")
    shutil.rmtree(copies, ignore_errors=True)
    os.mkdir(copies)
    for i in range(-(-data // _used(tree))):
        _run("cp", "-a", tree, os.path.join(copies, "copy-%d" % i))
    with open(path, "wb") as file:
        file.truncate(capacity)
    _run("mke2fs", "-q", "-F", "-t", "ext4", "-d", copies, path)
    shutil.rmtree(copies)


def _noise(path, size):
    with open(path, "wb") as file:
        zeros = subprocess.Popen(["head", "-c", str(size), "/dev/zero"],
                                 stdout=subprocess.PIPE)
        _run_to(file, zeros.stdout, "openssl", "enc", "-aes-128-ctr", "-K", KEY, "-iv", KEY)
        zeros.wait()


def _run_to(file, source, *argv):
    subprocess.run(argv, check=True, stdin=source, stdout=file)


def _make(work, case, path, scale):
    if case == "linux":
        _file_system(work, path, 10 * GIB // scale, 4_100_000_000 // scale)
    elif case == "sparse":
        _file_system(work, path, 40 * GIB // scale, GIB // scale)
    else:
        _noise(path, 4 * GIB // scale)


def prepare(work, cases, scale=1):
    """-> {case: (raw, vmdk)}, paths. Needs root: the guest's files have owners."""
    os.makedirs(work, exist_ok=True)
    made = {}
    for case in cases:
        name = case if scale == 1 else "%s-%d" % (case, scale)
        raw, stream = (os.path.join(work, name + end) for end in (".raw", ".vmdk"))
        if not os.path.exists(raw):
            _make(work, case, raw + ".part", scale)
            os.rename(raw + ".part", raw)
        if not os.path.exists(stream):
            vmdk.write(raw, stream)
        made[case] = raw, stream
    return made
