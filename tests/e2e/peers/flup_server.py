"""flup, threaded, on the socket named."""

from __future__ import annotations

import sys

from flup.server.fcgi import WSGIServer

from tests.e2e.peers.app import application

WSGIServer(application, bindAddress=sys.argv[1]).run()
