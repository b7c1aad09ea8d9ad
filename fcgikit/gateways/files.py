"""``wsgi.file_wrapper``: a file as a response, which the kernel may copy by itself."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from typing import Any


class FileWrapper:
    """An iterable over the rest of *filelike* in blocks of *blksize* bytes. PEP 3333.

    Returned as the response itself, a regular file is sent by the kernel.
    """

    def __init__(self, filelike: Any, blksize: int = 65536) -> None:
        self.filelike = filelike
        self.blksize = blksize

    def __iter__(self) -> Iterator[bytes]:
        while block := self.filelike.read(self.blksize):
            yield block

    def close(self) -> None:
        """Close the file, if it can be closed."""
        if hasattr(self.filelike, "close"):
            self.filelike.close()

    def rest_of_file(self) -> tuple[int, int, int] | None:
        """``(descriptor, offset, count)`` of what is left to read, or ``None``: iterate instead.

        Only the standard library's own binary files qualify. What else has a ``fileno()``
        may well read something other than the file holds, as ``gzip.GzipFile`` does.
        """
        file = self.filelike
        raw = file.raw if type(file) in (io.BufferedReader, io.BufferedRandom) else file
        if type(raw) is not io.FileIO:
            return None
        file.flush()  # what a temporary file was just written belongs to it
        status = os.fstat(raw.fileno())
        if not stat.S_ISREG(status.st_mode):
            return None
        offset = file.tell()
        return raw.fileno(), offset, max(0, status.st_size - offset)
