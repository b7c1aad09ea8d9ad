#!/usr/bin/env python3
import os
import sys
import zlib
from urllib.parse import parse_qsl

query = dict(parse_qsl(os.environ["QUERY_STRING"], keep_blank_values=True))
body = sys.stdin.buffer.read(int(os.environ.get("CONTENT_LENGTH") or 0))
if "error" in query:
    print("trouble", file=sys.stderr)
print("Content-Type: text/plain", end="\r\n")
if "header" in query:
    print("X-Long:", "h" * int(query["header"]), end="\r\n")
print(end="\r\n")
print(os.environ["REQUEST_METHOD"], len(body), f"{zlib.adler32(body):08x}")
print("x" * int(query.get("size", 0)), end="")
