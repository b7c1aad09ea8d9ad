"""How a worker that leaves gives its kept connections to the others: it sends the sockets.

The supervisor makes one pair of sockets for all workers. Who serves takes connections from
the one end as from a listening socket; who retires sends its idle connections down the other.
To close them instead would lose requests: a front end that has just written one onto a kept
connection learns nothing of our intention. What the peer has written and nobody has received
stays with the socket, so nothing can be lost on the way.
"""

from __future__ import annotations

import array
import errno
import os
import socket

from .listener import Accepted

_ROOM = socket.CMSG_LEN(array.array("i").itemsize)
_FLAGS = socket.MSG_DONTWAIT | getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Handover:
    """Both ends of the pair, ``AF_UNIX`` and ``SOCK_SEQPACKET``; to a loop it is a listener.

    *inherited* says that somebody else made the pool's listening sockets.
    """

    def __init__(
        self, receiver: socket.socket, sender: socket.socket, *, inherited: bool = False
    ) -> None:
        self.socket = receiver
        self.inherited = inherited
        self._sender = sender

    def accept(self) -> Accepted:
        """A connection that another worker has given away, and its peer.

        Raises ``OSError``: there is none, it has ended, or there is no descriptor for it.
        """
        # The kernel would throw away a connection that finds no free descriptor.
        os.close(os.dup(self.socket.fileno()))
        _, extra, _, _ = self.socket.recvmsg(1, _ROOM, _FLAGS)
        if not extra:
            raise OSError(errno.ECONNABORTED, "nothing was handed over")
        (fileno,) = array.array("i", extra[0][2])
        os.set_inheritable(fileno, False)
        sock = socket.socket(fileno=fileno)
        try:
            return sock, sock.getpeername()
        except OSError:
            sock.close()
            raise

    def admits(self, peer: object) -> bool:
        """Whoever comes this way has been let in before."""
        return True

    def give(self, sock: socket.SocketType) -> bool:
        """Send a connection to the other workers, without waiting; whether there was room.

        The caller still has to close its own copy.
        """
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [sock.fileno()]))]
        try:
            self._sender.sendmsg([b"\0"], rights, socket.MSG_DONTWAIT)
        except OSError:  # or more sockets are on their way than the kernel allows
            return False
        return True

    def close(self) -> None:
        """Take no more; to give is still possible."""
        self.socket.close()

    def end(self) -> None:
        """Close both ends."""
        self.socket.close()
        self._sender.close()
