#!/usr/bin/env python3
"""For a shared host: copy this file into the web root, make it executable, and name your app.

Apache with mod_fcgid and lighttpd start it by themselves; it also runs as a plain CGI script
and under spawn-fcgi. Which one it is, fcgikit finds out. Use the Python of a virtual
environment that has fcgikit installed: put its path into the first line.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from hello import app

from fcgikit import serve

serve(app)
