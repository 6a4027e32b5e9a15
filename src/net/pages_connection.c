/*
 * pages_connection: see pages_connection.h. Its states follow each other; each has a time
 * of its own, which no byte prolongs.
 */
#include "pages_connection.h"

#include "alloc.h"
#include "clock.h"
#include "pages.h"
#include "text.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST_HEAD 4096 /* bytes */

/* Seconds. */
#define HEAD_TIME   5.0
#define LATER_TIME  30.0
#define ANSWER_TIME 10.0
#define DRAIN_TIME  2.0

enum state {
    HEAD,   /* the request's comes */
    LATER,  /* its answer is waited for */
    ANSWER, /* goes out */
    DRAIN, /* it is out; what the other side still says is read, lest a reset destroy it */
};

struct pages_connection {
    int fd;
    enum state state;
    double ends;
    struct in6_addr address; /* as IPv6 */
    bool bare;               /* HEAD was asked for: no body goes out */
    struct vic_text answer;
    size_t sent;
    size_t have; /* of head */
    char head[MOST_HEAD + 1];
};

static void page_enter(struct pages_connection *c, enum state state, double time)
{
    c->state = state;
    c->ends = vic_now() + time;
}

struct pages_connection *pages_connection_new(int fd,
                                              const struct sockaddr_storage *address)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
    struct pages_connection *c = vic_alloc(sizeof(*c));

    c->fd = fd;
    if (address->ss_family == AF_INET6)
        c->address = v6->sin6_addr;
    else
        memcpy(&c->address, &v4->sin_addr, sizeof(v4->sin_addr));
    page_enter(c, HEAD, HEAD_TIME);
    return c;
}

void pages_connection_free(struct pages_connection *c)
{
    close(c->fd);
    vic_text_fini(&c->answer);
    free(c);
}

int pages_connection_fd(const struct pages_connection *c)
{
    return c->fd;
}

short pages_connection_events(const struct pages_connection *c)
{
    switch (c->state) {
    case ANSWER:
        return POLLOUT;
    case LATER:
        return 0; /* that it has gone is told nevertheless */
    default:
        return POLLIN;
    }
}

double pages_connection_ends(const struct pages_connection *c)
{
    return c->ends;
}

bool pages_connection_is_of(const struct pages_connection *c,
                            const struct pages_connection *like)
{
    return memcmp(&c->address, &like->address, sizeof(c->address)) == 0;
}

/* ---- the answer ---- */

static const char *page_reason_of(unsigned status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 431:
        return "Request Header Fields Too Large";
    default:
        return "Service Unavailable";
    }
}

static void page_answer_begin(struct pages_connection *c, unsigned status,
                              const char *text, size_t size)
{
    char head[300];

    snprintf(head, sizeof(head),
             "HTTP/1.1 %u %s\r\n"
             "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
             "Cache-Control: no-store\r\n"
             "%s"
             "Content-Length: %zu\r\n"
             "Connection: close\r\n\r\n",
             status, page_reason_of(status), status == 405 ? "Allow: GET, HEAD\r\n" : "",
             size);
    vic_text_puts(&c->answer, head);
    if (!c->bare)
        vic_text_add(&c->answer, text, size);
    page_enter(c, ANSWER, ANSWER_TIME);
}

static void page_answer_line(struct pages_connection *c, unsigned status,
                             const char *line)
{
    page_answer_begin(c, status, line, strlen(line));
}

/* ---- the request ---- */

/* The head is there, and is a string. */
static void page_request_answer(struct pages_connection *c, pages_page_fn *page,
                                void *arg)
{
    struct vic_text text = { 0 };
    char *path = strchr(c->head, ' ');
    char *end = path ? path + 1 + strcspn(path + 1, " \r\n") : NULL;
    unsigned status;

    if (!end || path[1] != '/' || strncmp(end, " HTTP/1.", 8) != 0) {
        page_answer_line(c, 400, "not a request of HTTP/1.1\n");
        return;
    }
    *path++ = *end = '\0';
    path[strcspn(path, "?")] = '\0';
    c->bare = strcmp(c->head, "HEAD") == 0;
    if (!c->bare && strcmp(c->head, "GET") != 0) {
        page_answer_line(c, 405, "only GET and HEAD\n");
        return;
    }
    status = page(arg, path, &text);
    if (status == VIC_PAGES_LATER)
        page_enter(c, LATER, LATER_TIME);
    else
        page_answer_begin(c, status, text.data, text.size);
    vic_text_fini(&text);
}

static bool page_read_head(struct pages_connection *c, pages_page_fn *page, void *arg)
{
    ssize_t n = recv(c->fd, c->head + c->have, MOST_HEAD - c->have, 0);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        return false;
    if (n < 0)
        return true;
    c->have += (size_t)n;
    c->head[c->have] = '\0';
    if (strlen(c->head) < c->have)
        page_answer_line(c, 400, "a request with a zero byte\n");
    else if (strstr(c->head, "\r\n\r\n"))
        page_request_answer(c, page, arg);
    else if (c->have == MOST_HEAD)
        page_answer_line(c, 431, "a request with too long a head\n");
    return true;
}

/* ---- the way out ---- */

static bool page_write_answer(struct pages_connection *c)
{
    ssize_t n =
        send(c->fd, c->answer.data + c->sent, c->answer.size - c->sent, MSG_NOSIGNAL);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    c->sent += (size_t)n;
    if (c->sent == c->answer.size) {
        shutdown(c->fd, SHUT_WR);
        page_enter(c, DRAIN, DRAIN_TIME);
    }
    return true;
}

static bool page_drain(struct pages_connection *c)
{
    ssize_t n = recv(c->fd, c->head, MOST_HEAD, 0);

    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

bool pages_connection_run(struct pages_connection *c, pages_page_fn *page, void *arg)
{
    switch (c->state) {
    case HEAD:
        return page_read_head(c, page, arg);
    case ANSWER:
        return page_write_answer(c);
    case DRAIN:
        return page_drain(c);
    default:
        return false; /* poll(2) tells of one that waits only that it has gone */
    }
}

bool pages_connection_waits(const struct pages_connection *c)
{
    return c->state == LATER;
}

void pages_connection_tell(struct pages_connection *c, unsigned status, const char *text,
                           size_t size)
{
    if (c->state == LATER)
        page_answer_begin(c, status, text, size);
}
