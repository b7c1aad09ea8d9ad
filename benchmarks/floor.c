/* The floor: answers every FastCGI request with the same bytes and understands nothing.
 *
 * What it costs is what the system calls of any server cost: epoll_wait, recv and send, and
 * accept and close where connections are not kept. It takes each arrival for one whole request,
 * as nginx sends a GET, and looks at nothing but FCGI_KEEP_CONN (FastCGI 1.0 section 5.1).
 */

#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const unsigned char answer[] =
    "\1\6\0\1\0\116\2\0" /* FCGI_STDOUT, id 1: 78 bytes and 2 of padding */
    "Content-Type: text/plain\r\nContent-Length: 14\r\nStatus: 200 OK\r\n\r\nHello, world!\n"
    "\0\0"
    "\1\6\0\1\0\0\0\0"   /* the end of the stream */
    "\1\3\0\1\0\10\0\0"  /* FCGI_END_REQUEST */
    "\0\0\0\0\0\0\0";    /* and the string's own NUL */

int main(int argc, char **argv)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct epoll_event events[64], event = {.events = EPOLLIN};
    static unsigned char request[65536];
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), poller = epoll_create1(0);

    if (argc != 2)
        return 2;
    strncpy(address.sun_path, argv[1], sizeof address.sun_path - 1);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) {
        perror(argv[1]);
        return 1;
    }
    event.data.fd = listener;
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(poller, events, 64, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd, fresh = fd == listener, size;
            if (fresh && (fd = accept4(listener, NULL, NULL, 0)) < 0)
                continue;
            /* A fresh connection is received from at once: nginx has usually written already. */
            size = recv(fd, request, sizeof request, 0);
            if (size > 0)
                send(fd, answer, sizeof answer, MSG_NOSIGNAL);
            if (size <= 0 || !(request[10] & 1)) {
                close(fd);
            } else if (fresh) {
                event.data.fd = fd;
                epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
            }
        }
    }
}
