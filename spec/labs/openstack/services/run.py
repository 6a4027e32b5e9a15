"""run.py NAME MODULE:FUNCTION ARG...   Calls a service's entry point, as its script does."""

import importlib
import sys

name, target = sys.argv[1:3]
module, function = target.split(":")
# First: it makes threads and locks green. A lock of a library that was there before would
# stop the whole service when two of its tasks want it.
entry = getattr(importlib.import_module(module), function)
if name == "nova-compute":
    # Nova looks for its drivers in a package of its own.
    sys.modules["nova.virt.lab"] = importlib.import_module("lab_nova")
if name == "cinder-volume":
    # Disks of a GiB go to Glance in pieces that Python has less to do with.
    importlib.import_module("glanceclient.common.http").CHUNKSIZE = 1 << 20
sys.argv = [name] + sys.argv[3:]
sys.exit(entry())
