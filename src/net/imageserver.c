/*
 * imageserver: routes to files, answered by libmicrohttpd's threads.
 *
 * A request that has to wait is suspended and stands in `waiting`; a thread of our own
 * resumes it when a route comes, when the server is ready, or when its time is up.
 */
#include "imageserver.h"

#include "alloc.h"
#include "error.h"
#include "log.h"
#include "range.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define THREADS 2
#define TICK_NS (100 * 1000 * 1000L) /* how late a waiting request may be looked at */

struct route {
    struct route *next;
    char *path;
    char *file;
    uint64_t size;
    struct vic_imageserver_stats stats;
};

/* One exchange, from its first line to its end. */
struct exchange {
    struct MHD_Connection *connection;
    struct exchange *next; /* in `waiting` */
    char *path;            /* of the route that is being sent, else NULL */
    uint64_t length;       /* bytes of the body */
    double deadline;       /* until when an unknown path waits; 0: not asked yet */
    bool whole;
};

struct vic_imageserver {
    struct MHD_Daemon *daemon;
    double wait;
    pthread_mutex_t lock; /* all below */
    pthread_cond_t changed;
    pthread_t waker;
    struct route *routes;
    struct exchange *waiting;
    bool ready, stop;
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Under the lock. */
static struct route **find(struct vic_imageserver *s, const char *path)
{
    struct route **r = &s->routes;

    while (*r && strcmp((*r)->path, path) != 0)
        r = &(*r)->next;
    return r;
}

static void route_free(struct route *r)
{
    free(r->path);
    free(r->file);
    free(r);
}

static enum MHD_Result answer_status(struct MHD_Connection *connection, unsigned status,
                                     const char *name, const char *value)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result;

    if (name)
        MHD_add_response_header(response, name, value);
    result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* The open file and its mark, or -1. */
static int open_image(const char *file, uint64_t size, char *etag, size_t etag_size)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;

    if (fd < 0)
        return -1;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != size) {
        close(fd);
        return -1;
    }
    snprintf(etag, etag_size, "\"%" PRIx64 "-%" PRIx64 "-%" PRIx64 ".%lx\"", size,
             (uint64_t)st.st_ino, (uint64_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    return fd;
}

/* The part asked for. If-Range with another mark than ours asks for the whole. */
static enum vic_range_kind asked_range(struct MHD_Connection *connection, const char *etag,
                                       uint64_t size, uint64_t *first, uint64_t *length)
{
    const char *range = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Range");
    const char *only = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "If-Range");

    *first = 0;
    *length = size;
    if (only && strcmp(only, etag) != 0)
        return VIC_RANGE_WHOLE;
    return vic_range_parse(range, size, first, length);
}

static enum MHD_Result answer_range(struct exchange *x, int fd, const char *etag,
                                    uint64_t size)
{
    uint64_t first, length;
    enum vic_range_kind kind = asked_range(x->connection, etag, size, &first, &length);
    struct MHD_Response *response;
    enum MHD_Result result;
    char text[96];

    if (kind == VIC_RANGE_UNSATISFIABLE) {
        close(fd);
        snprintf(text, sizeof(text), "bytes */%" PRIu64, size);
        return answer_status(x->connection, MHD_HTTP_RANGE_NOT_SATISFIABLE,
                             "Content-Range", text);
    }
    response = MHD_create_response_from_fd_at_offset64(length, fd, first);
    if (!response) {
        close(fd);
        return MHD_NO;
    }
    MHD_add_response_header(response, "Content-Type", "application/octet-stream");
    MHD_add_response_header(response, "Accept-Ranges", "bytes");
    MHD_add_response_header(response, "ETag", etag);
    if (kind == VIC_RANGE_PART) {
        snprintf(text, sizeof(text), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first,
                 first + length - 1, size);
        MHD_add_response_header(response, "Content-Range", text);
    }
    x->length = length;
    x->whole = length == size;
    result = MHD_queue_response(
        x->connection,
        kind == VIC_RANGE_PART ? MHD_HTTP_PARTIAL_CONTENT : MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

/* Sends `file`; the path is known. */
static enum MHD_Result answer_file(struct vic_imageserver *s, struct exchange *x,
                                   const char *path, const char *file, uint64_t size)
{
    char etag[96];
    int fd = open_image(file, size, etag, sizeof(etag));
    struct route *r;

    if (fd < 0) {
        vic_log(VIC_LOG_WARN, "image server: the file of a route is not there: %s",
                strerror(errno));
        return answer_status(x->connection, MHD_HTTP_SERVICE_UNAVAILABLE, "Retry-After",
                             "10");
    }
    pthread_mutex_lock(&s->lock);
    r = *find(s, path);
    if (r) {
        r->stats.requests++;
        r->stats.active++;
        x->path = vic_strdup(path);
    }
    pthread_mutex_unlock(&s->lock);
    return answer_range(x, fd, etag, size);
}

/* Nothing is known of the path: waits once, then says so. */
static enum MHD_Result answer_unknown(struct vic_imageserver *s, struct exchange *x)
{
    bool ready, suspended = false;

    pthread_mutex_lock(&s->lock);
    ready = s->ready;
    if (!ready && x->deadline == 0)
        x->deadline = now() + s->wait;
    if (!ready && !s->stop && now() < x->deadline) {
        MHD_suspend_connection(x->connection);
        x->next = s->waiting;
        s->waiting = x;
        suspended = true;
        pthread_cond_signal(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    if (suspended)
        return MHD_YES;
    if (!ready)
        return answer_status(x->connection, MHD_HTTP_SERVICE_UNAVAILABLE, "Retry-After",
                             "10");
    return answer_status(x->connection, MHD_HTTP_NOT_FOUND, NULL, NULL);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection,
                                  const char *url, const char *method, const char *version,
                                  const char *upload, size_t *upload_size, void **state)
{
    struct vic_imageserver *s = cls;
    struct exchange *x = *state;
    enum MHD_Result result;
    struct route *r;
    char *file = NULL;
    uint64_t size = 0;

    (void)version, (void)upload;
    if (!x) { /* the head is there; a body may follow: answer at the next call */
        x = *state = vic_alloc(sizeof(*x));
        x->connection = connection;
        return MHD_YES;
    }
    if (*upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return answer_status(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "Allow",
                             "GET, HEAD");
    pthread_mutex_lock(&s->lock);
    r = *find(s, url);
    if (r) {
        file = vic_strdup(r->file);
        size = r->size;
    }
    pthread_mutex_unlock(&s->lock);
    if (!file)
        return answer_unknown(s, x);
    result = answer_file(s, x, url, file, size);
    x->whole = x->whole && strcmp(method, "GET") == 0;
    if (strcmp(method, "HEAD") == 0)
        x->length = 0;
    free(file);
    return result;
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    struct vic_imageserver *s = cls;
    struct exchange *x = *state;
    struct route *r;

    (void)connection;
    if (!x)
        return;
    if (x->path) {
        pthread_mutex_lock(&s->lock);
        r = *find(s, x->path);
        if (r) {
            if (r->stats.active > 0)
                r->stats.active--;
            if (code == MHD_REQUEST_TERMINATED_COMPLETED_OK) {
                r->stats.bytes += x->length;
                r->stats.full_reads += x->whole;
            }
        }
        pthread_mutex_unlock(&s->lock);
    }
    free(x->path);
    free(x);
    *state = NULL;
}

/* Under the lock: resumes whom waiting does not help any more, or might have helped. */
static void wake(struct vic_imageserver *s, bool all)
{
    struct exchange **p = &s->waiting;
    struct exchange *x;

    while ((x = *p)) {
        if (all || now() >= x->deadline) {
            *p = x->next;
            MHD_resume_connection(x->connection);
        } else {
            p = &x->next;
        }
    }
}

/* A thread of its own: ends waits whose time is up. */
static void *run_waker(void *arg)
{
    struct vic_imageserver *s = arg;
    struct timespec until;

    pthread_mutex_lock(&s->lock);
    while (!s->stop) {
        if (!s->waiting) {
            pthread_cond_wait(&s->changed, &s->lock);
            continue;
        }
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += TICK_NS;
        if (until.tv_nsec >= 1000000000L) {
            until.tv_sec++;
            until.tv_nsec -= 1000000000L;
        }
        pthread_cond_timedwait(&s->changed, &s->lock, &until);
        wake(s, s->stop);
    }
    wake(s, true);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static int parse_address(const struct vic_imageserver_opts *opts,
                         struct sockaddr_storage *address, struct vic_error *err)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;

    memset(address, 0, sizeof(*address));
    if (!opts->host || inet_pton(AF_INET6, opts->host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(opts->port);
        return 0;
    }
    if (inet_pton(AF_INET, opts->host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(opts->port);
        return 0;
    }
    return vic_error_set(err, VIC_INVALID, "listening on %s: not an IP address", opts->host);
}

static struct MHD_Daemon *start_daemon(struct vic_imageserver *s,
                                       const struct vic_imageserver_opts *opts,
                                       const struct sockaddr_storage *address)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;

    if (address->ss_family == AF_INET6)
        flags |= opts->host ? MHD_USE_IPv6 : MHD_USE_DUAL_STACK;
    return MHD_start_daemon(
        flags, opts->port, NULL, NULL, on_request, s, MHD_OPTION_SOCK_ADDR, address,
        MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS, MHD_OPTION_CONNECTION_LIMIT,
        opts->max_connections ? opts->max_connections : 256u,
        MHD_OPTION_CONNECTION_TIMEOUT, opts->idle_timeout ? opts->idle_timeout : 60u,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_END);
}

struct vic_imageserver *vic_imageserver_start(const struct vic_imageserver_opts *opts,
                                              struct vic_error *err)
{
    struct sockaddr_storage address;
    struct vic_imageserver *s;

    if (parse_address(opts, &address, err) < 0)
        return NULL;
    s = vic_alloc(sizeof(*s));
    s->wait = opts->wait > 0 ? opts->wait : 10;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    s->daemon = start_daemon(s, opts, &address);
    if (!s->daemon) {
        vic_error_errno(err, errno, "listening on %s port %u",
                        opts->host ? opts->host : "all addresses", opts->port);
        pthread_cond_destroy(&s->changed);
        pthread_mutex_destroy(&s->lock);
        free(s);
        return NULL;
    }
    pthread_create(&s->waker, NULL, run_waker, s);
    return s;
}

void vic_imageserver_stop(struct vic_imageserver *s)
{
    struct route *r;

    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->waker, NULL);
    MHD_stop_daemon(s->daemon);
    while ((r = s->routes)) {
        s->routes = r->next;
        route_free(r);
    }
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

uint16_t vic_imageserver_port(const struct vic_imageserver *s)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT);

    return info ? info->port : 0;
}

void vic_imageserver_publish(struct vic_imageserver *s, const char *path,
                             const char *file, uint64_t size)
{
    struct route **r;

    pthread_mutex_lock(&s->lock);
    r = find(s, path);
    if (!*r) {
        *r = vic_alloc(sizeof(**r));
        (*r)->path = vic_strdup(path);
    }
    free((*r)->file);
    (*r)->file = vic_strdup(file);
    (*r)->size = size;
    wake(s, true); /* those for whom it was not come back to wait */
    pthread_mutex_unlock(&s->lock);
}

void vic_imageserver_forget(struct vic_imageserver *s, const char *path)
{
    struct route **p, *r;

    pthread_mutex_lock(&s->lock);
    p = find(s, path);
    r = *p;
    if (r)
        *p = r->next;
    pthread_mutex_unlock(&s->lock);
    if (r)
        route_free(r);
}

void vic_imageserver_ready(struct vic_imageserver *s)
{
    pthread_mutex_lock(&s->lock);
    s->ready = true;
    wake(s, true);
    pthread_mutex_unlock(&s->lock);
}

bool vic_imageserver_stats(struct vic_imageserver *s, const char *path,
                           struct vic_imageserver_stats *stats)
{
    struct route *r;

    pthread_mutex_lock(&s->lock);
    r = *find(s, path);
    if (r)
        *stats = r->stats;
    pthread_mutex_unlock(&s->lock);
    return r != NULL;
}
