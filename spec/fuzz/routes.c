/*
 * Fuzz target: whatever a stranger sends to the image server, as bytes of a connection.
 *
 * Paths of three images: one that the seeds know, one that is held, and one of which
 * nobody knows: its bytes may never go out. What goes out of the first is a piece of it,
 * as long as its head says.
 */
#include "check.h"
#include "error.h"
#include "imageserver.h"
#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define KNOWN  "/0123456789abcdef/disk.raw"
#define HELD   "/fedcba9876543210/disk.raw"
#define SIZE   1000
#define SECRET "bytes of another tenant"
#define QUIET  30 /* milliseconds: nothing more comes */
/* Whoever has understood all before it closes the connection after it. */
#define LAST "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

static struct vic_imageserver *server;
static char known_file[] = "/dev/shm/vic-fuzz-known-XXXXXX";
static char other_file[] = "/dev/shm/vic-fuzz-other-XXXXXX";

static void make_file(char *name, const char *text)
{
    char bytes[SIZE];
    int fd = mkstemp(name);
    size_t i;

    for (i = 0; i < SIZE; i++)
        bytes[i] = text ? text[i % strlen(text)] : (char)('a' + i % 26);
    CHECK(fd >= 0 && write(fd, bytes, SIZE) == SIZE);
    close(fd);
}

static void finish(void)
{
    vic_imageserver_stop(server);
    unlink(known_file);
    unlink(other_file);
}

static void begin(void)
{
    const struct vic_imageserver_opts opts = { .host = "127.0.0.1",
                                               .wait = 0.01,
                                               .head_time = 0.2 };
    struct timespec now;
    char path[64];
    struct vic_error err;

    make_file(known_file, NULL);
    make_file(other_file, SECRET);
    server = vic_imageserver_start(&opts, &err);
    CHECK(server && atexit(finish) == 0);
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(path, sizeof(path), "/%lx%lx%x/x", (long)now.tv_sec, now.tv_nsec, getpid());
    vic_imageserver_publish(server, path, other_file, SIZE);
    vic_imageserver_publish(server, KNOWN, known_file, SIZE);
    vic_imageserver_hold(server, HELD, SIZE);
    vic_imageserver_ready(server);
}

/* Ports of this machine may be used up for a moment, and libFuzzer's timer interrupts. */
static int connect_to_server(void)
{
    struct sockaddr_in to = { .sin_family = AF_INET };
    int tries = 100, fd;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(vic_listen_port(vic_imageserver_socket(server)));
    for (;;) {
        fd = socket(AF_INET, SOCK_STREAM, 0);
        CHECK(fd >= 0);
        if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
            return fd;
        CHECK((errno == EADDRNOTAVAIL || errno == EINTR) && --tries > 0);
        close(fd);
        poll(NULL, 0, QUIET);
    }
}

/* All that comes until the server ends it, or waits for more; how many bytes. */
static size_t read_all(int fd, char *text, size_t size)
{
    struct pollfd one = { .fd = fd, .events = POLLIN };
    size_t got = 0;
    ssize_t n;

    while (got < size && poll(&one, 1, QUIET) == 1) {
        n = recv(fd, text + got, size - got, 0);
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    return got;
}

/* The first answer: a piece of the image, if it is one. */
static void check_piece(char *text, size_t size)
{
    char *body, *length = NULL, *at;
    unsigned long said, i;

    if (strncmp(text, "HTTP/1.1 200", 12) != 0 && strncmp(text, "HTTP/1.1 206", 12) != 0)
        return;
    body = strstr(text, "\r\n\r\n");
    CHECK(body);
    *body = '\0';
    body += 4;
    for (at = strstr(text, "\r\n"); at && !length; at = strstr(at + 2, "\r\n"))
        if (strncasecmp(at + 2, "content-length:", 15) == 0)
            length = at + 17;
    CHECK(length);
    said = strtoul(length, NULL, 10);
    CHECK(said <= SIZE);
    if (body[0] == 'H') /* the next answer: this was of a HEAD */
        return;
    for (i = 1; i < said && body + i < text + size && body[i] != 'H'; i++)
        CHECK(body[i] == (body[i - 1] == 'z' ? 'a' : body[i - 1] + 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct linger now = { .l_onoff = 1 };
    static char answer[1 << 16];
    size_t got;
    int fd;

    if (!server)
        begin();
    fd = connect_to_server();
    if (send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size) /* else it was cut */
        send(fd, LAST, strlen(LAST), MSG_NOSIGNAL);
    got = read_all(fd, answer, sizeof(answer) - 1);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fd);
    answer[got] = '\0';
    CHECK(!memmem(answer, got, SECRET, strlen(SECRET)));
    check_piece(answer, got);
    return 0;
}
