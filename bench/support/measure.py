"""What commands cost, and how figures are printed.

Figures are medians; a ratio is the median of the rounds' own ratios, since a machine that
others use too drifts more between rounds than within one.
"""

import os
import statistics
import subprocess
import sys
import time

MIB = 1 << 20
CACHES = "/proc/sys/vm/drop_caches"


class Usage:
    """What commands run one after the other used together."""

    def __init__(self, work):
        self.report = os.path.join(work, "time")
        self.cpu = self.rss = self.scratch = 0
        self.taken = stolen()
        self.started = time.monotonic()

    def run(self, *argv, env=None):
        # Behind GNU time, which is small: a child of this process would report the memory
        # of this one as its own peak.
        done = subprocess.run(
            ["/usr/bin/time", "-q", "-f", "%U %S %M", "-o", self.report, *argv],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env=env and {**os.environ, **env})
        if done.returncode != 0:
            sys.exit("%s failed:\n%s" % (" ".join(argv), done.stderr))
        with open(self.report) as file:
            user, system, peak = file.read().split()
        self.cpu += float(user) + float(system)
        self.rss = max(self.rss, int(peak) / 1024)

    def add(self, pid):
        """What a process has used that is still running."""
        self.cpu += cpu_of([pid])
        with open("/proc/%d/status" % pid) as file:
            peak = next(line.split()[1] for line in file if line.startswith("VmHWM:"))
        self.rss = max(self.rss, int(peak) / 1024)

    def stop(self):
        self.wall = time.monotonic() - self.started
        self.taken = stolen() - self.taken
        return self

    def __str__(self):
        text = "%.2f s, %.2f s CPU, %.1f MiB" % (self.wall, self.cpu, self.rss)
        if self.taken > self.wall * 0.1:
            text += " (%.2f s of the CPU went to others)" % self.taken
        return text


def stolen():
    """Seconds of CPU that a virtual machine's host has given to others."""
    with open("/proc/stat") as file:
        return int(file.readline().split()[8]) / os.sysconf("SC_CLK_TCK")


def wait_for_quiet(most=120):
    """Until the host leaves the CPU alone for two seconds; `most` seconds."""
    for _ in range(most // 2):
        before = stolen()
        time.sleep(2)
        if stolen() - before < 0.1:
            return


def allocated(folder):
    """Bytes of the files below that take space."""
    files = (os.path.join(root, name) for root, _, names in os.walk(folder)
             for name in names)
    return sum(os.stat(path).st_blocks * 512 for path in files)


def make_durable(path):
    for each in (path, os.path.dirname(path)):
        handle = os.open(each, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


def settle(source):
    """The same page cache for every run: the source in it and nothing else."""
    os.sync()
    if os.access(CACHES, os.W_OK):
        with open(CACHES, "w") as control:
            control.write("3")
    with open(source, "rb") as file:
        while file.read(4 * MIB):
            pass
    wait_for_quiet()


def median(values):
    return statistics.median(values)


def figure(name, value, unit):
    print("figure %s %.3g %s" % (name, value, unit), flush=True)


def cpu_of(pids):
    """Seconds of CPU that processes have used up to now."""
    total = 0
    for pid in pids:
        with open("/proc/%d/stat" % pid) as file:
            fields = file.read().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")
