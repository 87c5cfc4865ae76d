/* Looks names up as programs do, with the C library that this is built with: resolve NAME..., a line each. */

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static void look_up(const char *name, int family)
{
    struct addrinfo hints, *found, *each;
    char text[INET6_ADDRSTRLEN];

    memset(&hints, 0, sizeof hints);
    hints.ai_family = family;
    hints.ai_socktype = SOCK_STREAM;
    int code = getaddrinfo(name, "80", &hints, &found);
    if (code != 0) {
        /* That there is no such name, or no such address: an answer, and not one that did not come. */
        int answered = code == EAI_NONAME || code == -5; /* EAI_NODATA */
        printf("%s %s\n", name, answered ? "none" : gai_strerror(code));
        return;
    }
    printf("%s", name);
    for (each = found; each != NULL; each = each->ai_next) {
        const void *address = each->ai_family == AF_INET
            ? (const void *)&((struct sockaddr_in *)each->ai_addr)->sin_addr
            : (const void *)&((struct sockaddr_in6 *)each->ai_addr)->sin6_addr;
        printf(" %s", inet_ntop(each->ai_family, address, text, sizeof text));
    }
    printf("\n");
    freeaddrinfo(found);
}

int main(int argc, char **argv)
{
    for (int at = 1; at < argc; at++) {
        look_up(argv[at], AF_UNSPEC);
        look_up(argv[at], AF_INET6);
    }
    return 0;
}
