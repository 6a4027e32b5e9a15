"""What bench/disk and bench/handover share: their options, and what they need first."""

import argparse
import os
import subprocess

from . import disks, measure

TREE = disks.TREE
MIB, GIB = 1 << 20, 1 << 30


def parse(doc, ways):
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--case", action="append", choices=disks.CASES,
                        help="only this disk (default all)")
    parser.add_argument("--way", action="append", choices=ways,
                        help="only this way (default all)")
    parser.add_argument("--scale", type=int, default=1, metavar="N",
                        help="disks of an Nth of the size (default 1)")
    parser.add_argument("--build", default=os.path.join(TREE, "build"),
                        help="folder the program was built in (default build)")
    parser.add_argument("--work", default=os.path.join(TREE, "build/bench"),
                        help="folder for disks (default build/bench)")
    options = parser.parse_args()
    options.work, options.build = map(os.path.abspath, (options.work, options.build))
    options.case = options.case or list(disks.CASES)
    options.program = os.path.join(options.build, "vm-import-controller")
    return options


def prepare(options, *targets):
    """Builds the program and those targets, makes the disks: {case: (raw, vmdk)}."""
    subprocess.run([os.path.join(TREE, "scripts/bootstrap"), "bench"], check=True)
    subprocess.run(["cmake", "--build", options.build, "--target", "vm-import-controller",
                    *targets], check=True, stdout=subprocess.DEVNULL)
    if not os.access(measure.CACHES, os.W_OK):
        print("the page cache cannot be dropped here: figures are of a warm one")
    return disks.prepare(options.work, options.case, options.scale)


def describe(case, raw, vmdk):
    print("%s: %.1f GiB disk, %.0f MiB of it used, VMDK %.0f MiB" % (
        case, os.path.getsize(raw) / GIB, os.stat(raw).st_blocks * 512 / MIB,
        os.path.getsize(vmdk) / MIB), flush=True)
