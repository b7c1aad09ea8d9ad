/* libfcgi, one process, on the socket named. */
#include <fcgiapp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static long number(const char *query, const char *name)
{
    const char *found = strstr(query, name);
    return found ? atol(found + strlen(name)) : 0;
}

static void fill(FCGX_Stream *out, char with, long count)
{
    while (count-- > 0)
        FCGX_PutChar(with, out);
}

int main(int argc, char **argv)
{
    FCGX_Request request;
    if (argc != 2 || FCGX_Init())
        return 1;
    int listener = FCGX_OpenSocket(argv[1], 16);
    if (listener < 0 || FCGX_InitRequest(&request, listener, 0))
        return 1;
    while (FCGX_Accept_r(&request) == 0) {
        const char *query = FCGX_GetParam("QUERY_STRING", request.envp);
        const char *method = FCGX_GetParam("REQUEST_METHOD", request.envp);
        uint32_t a = 1, b = 0; /* Adler-32 */
        long length = 0;
        int byte;
        while ((byte = FCGX_GetChar(request.in)) != -1) {
            a = (a + byte) % 65521;
            b = (b + a) % 65521;
            length++;
        }
        if (strstr(query, "error"))
            FCGX_FPrintF(request.err, "trouble\n");
        FCGX_FPrintF(request.out, "Content-Type: text/plain\r\n");
        if (strstr(query, "header=")) {
            FCGX_PutS("X-Long: ", request.out);
            fill(request.out, 'h', number(query, "header="));
            FCGX_PutS("\r\n", request.out);
        }
        FCGX_FPrintF(request.out, "\r\n%s %ld %08x\n", method, length, b << 16 | a);
        fill(request.out, 'x', number(query, "size="));
    }
    return 0;
}
