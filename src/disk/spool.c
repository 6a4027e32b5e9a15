/*
 * spool: one fetch writes, any number of readers inflate what they are asked for. How far
 * they may read is `frontier`: all grains before it are verified and in the index.
 */
#include "spool.h"

#include "alloc.h"
#include "files.h"
#include "grain_index.h"
#include "part.h"
#include "rate.h"
#include "spool_reader.h"
#include "stages.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HOLD ((uint64_t)64 * 1024) /* of the disk's end, until all is verified */

enum name { STREAM, STREAM_PART, INDEX, INDEX_PART, ETAG, NAMES };

static const char *const ENDINGS[NAMES] = { ".vmdk", ".vmdk.part", ".index",
                                            ".index.part", ".etag" };

struct vic_spool {
    struct vic_image image; /* first, so that an image * is a spool * */
    char *names[NAMES];
    struct vic_spool_shared shared;

    pthread_mutex_t lock; /* all below */
    struct vic_stages *stages; /* of the fetch under way, or NULL */
    bool fetching, stopped;
    struct vic_transfer_progress progress;
    struct vic_rate rate;
    int status;
};

/* A fetch. */
struct fetch {
    struct vic_sink sink;            /* the tap: what comes goes into the file */
    struct vic_batch_watcher watcher; /* what is inflated goes into the index */
    struct vic_spool *spool;
    struct vic_stages *stages;
    uint64_t at, stored; /* bytes of the stream: passed, and in the file before */
    uint64_t frontier;
    bool disordered, etag_kept;
};

static void announce(struct vic_spool *s, uint64_t frontier)
{
    struct vic_spool_shared *shared = &s->shared;

    pthread_mutex_lock(&shared->lock);
    shared->frontier = frontier;
    vic_spool_wake(shared);
    pthread_mutex_unlock(&shared->lock);
}

/* Readers of a fetch that has failed break off; later ones wait for the next. */
static void break_off(struct vic_spool *s)
{
    struct vic_spool_shared *shared = &s->shared;

    pthread_mutex_lock(&shared->lock);
    shared->round++;
    shared->frontier = 0;
    vic_spool_wake(shared);
    pthread_mutex_unlock(&shared->lock);
}

/* What the server calls the stream is written down before its first byte. */
static int keep_etag(struct fetch *f, struct vic_error *err)
{
    const char *etag = vic_stages_etag(f->stages);
    const char *path = f->spool->names[ETAG];
    int fd;

    if (f->etag_kept || !etag[0])
        return 0;
    f->etag_kept = true;
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || write(fd, etag, strlen(etag)) != (ssize_t)strlen(etag)) {
        vic_error_errno(err, errno ? errno : ENOSPC, "writing %s", path);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    close(fd);
    return 0;
}

static int tap_write(struct vic_sink *sink, const void *data, size_t size,
                     struct vic_error *err)
{
    struct fetch *f = (struct fetch *)sink;
    struct vic_sink *next = vic_stages_head(f->stages);
    const unsigned char *p = data;
    size_t left = size;

    while (f->at >= f->stored && left) {
        off_t at = (off_t)(f->at + (size - left));
        ssize_t n = pwrite(f->spool->shared.fd, p, left, at);

        if (keep_etag(f, err))
            return -1;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return vic_error_errno(err, errno, "writing %s",
                                   f->spool->names[STREAM_PART]);
        sync_file_range(f->spool->shared.fd, at, n, SYNC_FILE_RANGE_WRITE);
        p += n;
        left -= (size_t)n;
    }
    f->at += size;
    return next->write(next, data, size, err);
}

static int tap_end(struct vic_sink *sink, struct vic_error *err)
{
    struct vic_sink *next = vic_stages_head(((struct fetch *)sink)->stages);

    return next->end(next, err);
}

/* On the pipeline's ordered thread. */
static int on_batch(struct vic_batch_watcher *watcher, const struct vic_batch *batch,
                    struct vic_error *err)
{
    struct fetch *f = (struct fetch *)((char *)watcher - offsetof(struct fetch, watcher));
    struct vic_grain_index *index = &f->spool->shared.index;
    uint64_t limit = f->spool->image.size > HOLD ? f->spool->image.size - HOLD : 0;
    unsigned i;
    int code;

    pthread_mutex_lock(&f->spool->shared.lock);
    code = vic_grain_index_add(index, batch, err);
    pthread_mutex_unlock(&f->spool->shared.lock);
    if (code)
        return -1;
    for (i = 0; i < batch->count; i++) {
        const struct vic_piece *piece = &batch->pieces[i];

        f->disordered = f->disordered || piece->offset < f->frontier;
        f->frontier = piece->offset + piece->size;
    }
    if (!f->disordered)
        announce(f->spool, f->frontier < limit ? f->frontier : limit);
    return 0;
}

/* Puts other files in the place of those that readers have. */
static void use(struct vic_spool *s, int fd, int index_fd)
{
    pthread_mutex_lock(&s->shared.lock);
    if (s->shared.fd >= 0)
        close(s->shared.fd);
    if (s->shared.index.fd >= 0)
        close(s->shared.index.fd);
    s->shared.fd = fd;
    s->shared.index.fd = index_fd;
    pthread_mutex_unlock(&s->shared.lock);
}

/* The files of a fetch: with what is there already, or empty. */
static int open_files(struct vic_spool *s, int lock, bool resume, struct vic_error *err)
{
    const char *path = s->names[INDEX_PART];
    int index = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    int fd = index < 0 ? -1 : fcntl(lock, F_DUPFD_CLOEXEC, 0);

    if (fd < 0 || (!resume && ftruncate(fd, 0))) {
        vic_error_errno(err, errno, "beginning %s", path);
        if (fd >= 0)
            close(fd);
        if (index >= 0)
            close(index);
        return -1;
    }
    if (!resume)
        unlink(s->names[ETAG]);
    use(s, fd, index);
    return 0;
}

static int sync_folder(const char *path, struct vic_error *err)
{
    const char *slash = strrchr(path, '/');
    char *folder = vic_strndup(path, slash ? (size_t)(slash - path) : 0);
    int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = 0;

    if (fd < 0 || fsync(fd))
        result = vic_error_errno(err, errno, "making the folder of %s durable", path);
    if (fd >= 0)
        close(fd);
    free(folder);
    return result;
}

/* Makes all of it durable, and gives it its names: the stream's last. */
static int commit(struct vic_spool *s, uint64_t received, struct vic_error *err)
{
    struct vic_grain_index *index = &s->shared.index;

    index->size = received;
    if (vic_grain_index_finish(index, err))
        return -1;
    if (!vic_part_is_at(s->shared.fd, s->names[STREAM_PART]))
        return vic_error_set(err, VIC_CONFLICT, "%s was replaced while it was written",
                             s->names[STREAM_PART]);
    if (fdatasync(index->fd) || fdatasync(s->shared.fd)
        || rename(s->names[INDEX_PART], s->names[INDEX])
        || rename(s->names[STREAM_PART], s->names[STREAM]))
        return vic_error_errno(err, errno, "keeping %s", s->names[STREAM]);
    unlink(s->names[ETAG]);
    return sync_folder(s->names[STREAM], err);
}

/* What an earlier fetch has left, and what the server called it. 0: nothing to go on. */
static uint64_t find_part(struct vic_spool *s, char etag[VIC_SOURCE_ETAG])
{
    int fd = open(s->names[ETAG], O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd < 0 ? -1 : read(fd, etag, VIC_SOURCE_ETAG - 1);
    struct stat st;

    if (fd >= 0)
        close(fd);
    etag[n > 0 ? n : 0] = '\0';
    if (n < 3 || strpbrk(etag, "\r\n") || lstat(s->names[STREAM_PART], &st) != 0
        || !S_ISREG(st.st_mode))
        return 0;
    return (uint64_t)st.st_size;
}

static void set_stages(struct vic_spool *s, struct vic_stages *stages)
{
    pthread_mutex_lock(&s->lock);
    if (s->stages) {
        vic_stages_progress(s->stages, &s->progress);
        s->status = vic_stages_status(s->stages);
    }
    s->stages = stages;
    if (stages && s->stopped)
        vic_stages_stop(stages);
    pthread_mutex_unlock(&s->lock);
}

/* Once, from the start or from what is there. */
static int fetch_once(struct vic_spool *s, const struct vic_transfer_opts *opts,
                      int lock, uint64_t stored, const char *etag,
                      struct vic_transfer_result *result, struct vic_error *err)
{
    struct fetch f = { .sink = { .write = tap_write, .end = tap_end },
                       .watcher = { on_batch },
                       .spool = s,
                       .stored = stored,
                       .etag_kept = stored > 0 };
    unsigned i;
    int code;

    if (open_files(s, lock, stored > 0, err))
        return -1;
    f.stages = vic_stages_new(opts, &vic_nowhere, NULL, err);
    if (!f.stages)
        return -1;
    vic_stages_tap(f.stages, &f.sink);
    vic_stages_watch(f.stages, &f.watcher);
    if (stored)
        vic_stages_resume(f.stages, s->names[STREAM_PART], etag);
    set_stages(s, f.stages);
    code = vic_stages_run(f.stages, err);
    set_stages(s, NULL);
    result->capacity = s->image.size;
    result->received = f.at;
    result->written = f.at;
    for (i = 0; i < VIC_ALGORITHMS; i++)
        strcpy(result->digests[i],
               vic_stages_digest(f.stages, (enum vic_algorithm)i));
    vic_stages_free(f.stages);
    if (code == 0)
        code = commit(s, f.at, err);
    if (code)
        break_off(s);
    else
        announce(s, s->image.size);
    return code;
}

static bool begin(struct vic_spool *s)
{
    bool free;

    pthread_mutex_lock(&s->lock);
    free = !s->fetching;
    s->fetching = true;
    if (free)
        s->stopped = false;
    pthread_mutex_unlock(&s->lock);
    return free;
}

/* From what is here on, if that is of any use. */
static int fetch_locked(struct vic_spool *s, const struct vic_transfer_opts *opts,
                        int lock, struct vic_transfer_result *result,
                        struct vic_error *err)
{
    char etag[VIC_SOURCE_ETAG];
    uint64_t stored = opts->file ? 0 : find_part(s, etag);
    int code = fetch_once(s, opts, lock, stored, etag, result, err);

    /* What is here is damaged, or of another stream. */
    if (code && stored && (err->kind == VIC_CONFLICT || err->kind == VIC_FORMAT))
        code = fetch_once(s, opts, lock, 0, "", result, err);
    return code;
}

int vic_spool_fetch(struct vic_spool *s, const struct vic_transfer_opts *opts,
                    struct vic_transfer_result *result, struct vic_error *err)
{
    int lock, code = -1;

    if (!begin(s))
        return vic_error_set(err, VIC_BUSY, "%s is being written", s->names[STREAM]);
    lock = vic_part_open(s->names[STREAM_PART], err);
    if (lock >= 0) {
        code = fetch_locked(s, opts, lock, result, err);
        flock(lock, LOCK_UN); /* readers keep the file open */
        close(lock);
    }
    pthread_mutex_lock(&s->lock);
    s->fetching = false;
    pthread_mutex_unlock(&s->lock);
    return code;
}

void vic_spool_stop(struct vic_spool *s)
{
    pthread_mutex_lock(&s->lock);
    s->stopped = true;
    if (s->stages)
        vic_stages_stop(s->stages);
    pthread_mutex_unlock(&s->lock);
}

void vic_spool_progress(struct vic_spool *s, struct vic_transfer_progress *progress)
{
    pthread_mutex_lock(&s->lock);
    if (s->stages)
        vic_stages_progress(s->stages, &s->progress);
    *progress = s->progress;
    progress->rate = vic_rate_update(&s->rate, progress->fetched);
    pthread_mutex_unlock(&s->lock);
}

int vic_spool_status(struct vic_spool *s)
{
    int status;

    pthread_mutex_lock(&s->lock);
    status = s->status;
    pthread_mutex_unlock(&s->lock);
    return status;
}

bool vic_spool_is_whole(struct vic_spool *s)
{
    bool whole;

    pthread_mutex_lock(&s->shared.lock);
    whole = s->shared.frontier == s->image.size;
    pthread_mutex_unlock(&s->shared.lock);
    return whole;
}

static struct vic_image_reader *spool_open(struct vic_image *image, uint64_t first,
                                           uint64_t length,
                                           const struct vic_image_waiter *waiter)
{
    struct vic_spool *s = (struct vic_spool *)image;

    return vic_spool_reader_new(&s->shared, image, first, length, waiter);
}

static void spool_free(struct vic_image *image)
{
    struct vic_spool *s = (struct vic_spool *)image;
    unsigned i;

    use(s, -1, -1);
    for (i = 0; i < NAMES; i++)
        free(s->names[i]);
    pthread_mutex_destroy(&s->shared.lock);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* A whole one of an earlier process. */
static void load(struct vic_spool *s)
{
    struct vic_grain_index *index = &s->shared.index;
    struct stat st;

    s->shared.fd = open(s->names[STREAM], O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    index->fd = open(s->names[INDEX], O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (s->shared.fd >= 0 && index->fd >= 0 && vic_grain_index_load(index) == 0
        && fstat(s->shared.fd, &st) == 0 && S_ISREG(st.st_mode)
        && (uint64_t)st.st_size == index->size)
        s->shared.frontier = s->image.size;
    else
        use(s, -1, -1);
}

struct vic_spool *vic_spool_open(const char *path, uint64_t capacity,
                                 struct vic_error *err)
{
    struct vic_spool *s = vic_alloc(sizeof(*s));
    struct timespec now;
    unsigned i;

    (void)err;
    atomic_init(&s->image.refs, 1);
    s->image.size = capacity;
    s->image.random = true;
    s->image.open = spool_open;
    s->image.free = spool_free;
    clock_gettime(CLOCK_REALTIME, &now); /* it may be another disk's next time */
    snprintf(s->image.etag, sizeof(s->image.etag), "\"%" PRIx64 "-%lx.%lx\"", capacity,
             (unsigned long)now.tv_sec, (unsigned long)now.tv_nsec);
    for (i = 0; i < NAMES; i++) {
        size_t size = strlen(path) + strlen(ENDINGS[i]) + 1;

        s->names[i] = vic_alloc(size);
        snprintf(s->names[i], size, "%s%s", path, ENDINGS[i]);
    }
    s->shared.fd = s->shared.index.fd = -1;
    s->shared.index.capacity = capacity;
    pthread_mutex_init(&s->shared.lock, NULL);
    pthread_mutex_init(&s->lock, NULL);
    load(s);
    return s;
}

struct vic_image *vic_spool_image(struct vic_spool *s)
{
    return &s->image;
}
