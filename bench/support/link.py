"""A loopback of its own, held at a rate by the kernel, with an nginx behind it.

The rate is the network's, as that of a real link: a server that holds itself back by timers
also waits for its turn on the cores that inflate.
"""

import os
import subprocess

from . import nginx

RATE = 117 << 20  # bytes a second: what 1 Gbit/s carries
NAME = "vic-bench-link"


def _do(*argv):
    subprocess.run(argv, check=True)


class Link:
    """Runs from its making until close(). Needs root."""

    def __init__(self, work, root):
        self.prefix = ("ip", "netns", "exec", NAME)
        subprocess.run(["ip", "netns", "del", NAME], stderr=subprocess.DEVNULL)
        _do("ip", "netns", "add", NAME)
        _do("ip", "-n", NAME, "link", "set", "lo", "up")
        _do("tc", "-n", NAME, "qdisc", "add", "dev", "lo", "root", "tbf",
            "rate", "%dbit" % (RATE * 8), "burst", "256k", "limit", "16m")
        self.server = nginx.Nginx(os.path.join(work, "link"), root, prefix=self.prefix)

    def url(self, path):
        return self.server.url(path)

    def close(self):
        self.server.close()
        _do("ip", "netns", "del", NAME)
