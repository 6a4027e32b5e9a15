"""wsgi.py PORT MODULE:FUNCTION   Serves the application that FUNCTION makes, on loopback."""

import importlib
import sys

from waitress import serve

port, target = int(sys.argv[1]), sys.argv[2]
module, function = target.split(":")
sys.argv = sys.argv[:1]
serve(getattr(importlib.import_module(module), function)(), host="127.0.0.1", port=port,
      threads=8)
