/*
 * spool_fetch: how a spool is filled: what comes goes into its file as it is, and what is
 * inflated of it into the index, and is forgotten.
 */
#include "grain_index.h"
#include "part_file.h"
#include "spool_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The device is given so much at once: a call for each write costs more than the write. */
#define LARGE ((uint64_t)4 * 1024 * 1024)

/* A fetch. */
struct fetch {
    struct vic_sink sink;             /* the tap: what comes goes into the file */
    struct vic_batch_watcher watcher; /* what is inflated goes into the index */
    struct vic_spool *spool;
    struct vic_stages *stages;
    uint64_t at, stored; /* bytes of the stream: passed, and in the file before */
    uint64_t sent;       /* ... and on their way to the device */
    uint64_t frontier;
    bool disordered, etag_kept;
};

/* What the server calls the stream is written down before its first byte. */
static int keep_etag(struct fetch *f, struct vic_error *err)
{
    const char *etag = vic_stages_etag(f->stages);
    const char *path = f->spool->names[VIC_SPOOL_ETAG];
    ssize_t n;
    int fd;

    if (f->etag_kept || !etag[0])
        return 0;
    f->etag_kept = true;
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return vic_error_errno(err, errno, "writing %s", path);
    n = write(fd, etag, strlen(etag));
    if (n != (ssize_t)strlen(etag))
        vic_error_errno(err, n < 0 ? errno : ENOSPC, "writing %s", path);
    close(fd);
    return n == (ssize_t)strlen(etag) ? 0 : -1;
}

/* What is written goes to the device early: at the end little is left to wait for. */
static void send_off(struct fetch *f)
{
    if (f->at < f->sent + LARGE)
        return;
    sync_file_range(f->spool->shared.fd, (off_t)f->sent, (off_t)(f->at - f->sent),
                    SYNC_FILE_RANGE_WRITE);
    f->sent = f->at;
}

static int tap_write(struct vic_sink *sink, const void *data, size_t size,
                     struct vic_error *err)
{
    struct fetch *f = (struct fetch *)sink;
    struct vic_sink *next = vic_stages_head(f->stages);
    const unsigned char *p = data;
    size_t left = size;

    if (f->at >= f->stored && keep_etag(f, err))
        return -1;
    while (f->at >= f->stored && left) {
        off_t at = (off_t)(f->at + (size - left));
        ssize_t n = pwrite(f->spool->shared.fd, p, left, at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return vic_error_errno(err, errno, "writing %s",
                                   f->spool->names[VIC_SPOOL_STREAM_PART]);
        p += n;
        left -= (size_t)n;
    }
    f->at += size;
    send_off(f);
    return next->write(next, data, size, err);
}

static int tap_end(struct vic_sink *sink, struct vic_error *err)
{
    struct vic_sink *next = vic_stages_head(((struct fetch *)sink)->stages);

    return next->end(next, err);
}

/* On the pipeline's ordered thread. Who reads right behind it gets the bytes as they are. */
static int on_batch(struct vic_batch_watcher *watcher, const struct vic_batch *batch,
                    struct vic_error *err)
{
    struct fetch *f = (struct fetch *)((char *)watcher - offsetof(struct fetch, watcher));
    struct vic_spool_shared *shared = &f->spool->shared;
    uint64_t size = f->spool->image.size;
    uint64_t limit = size > VIC_IMAGE_HELD ? size - VIC_IMAGE_HELD : 0;
    unsigned i;
    int code;

    pthread_mutex_lock(&shared->lock);
    code = vic_grain_index_add(&shared->index, batch, err);
    pthread_mutex_unlock(&shared->lock);
    if (code)
        return -1;
    for (i = 0; i < batch->count; i++) {
        const struct vic_piece *piece = &batch->pieces[i];

        f->disordered = f->disordered || piece->offset < f->frontier;
        f->frontier = piece->offset + piece->size;
    }
    if (f->disordered)
        return 0;
    vic_spool_lend(shared, batch);
    vic_spool_announce(f->spool, f->frontier < limit ? f->frontier : limit);
    vic_spool_take_back(shared);
    return 0;
}

/* The files of a fetch: with what is there already, or empty. */
static int fetch_open_files(struct vic_spool *s, int lock, bool resume,
                            struct vic_error *err)
{
    const char *path = s->names[VIC_SPOOL_INDEX_PART];
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
        unlink(s->names[VIC_SPOOL_ETAG]);
    vic_spool_use(s, fd, index);
    return 0;
}

/* Makes all of it durable, and gives it its names: the stream's last. */
static int commit(struct vic_spool *s, uint64_t received, struct vic_error *err)
{
    struct vic_grain_index *index = &s->shared.index;

    index->size = received;
    if (vic_grain_index_finish(index, err))
        return -1;
    if (!vic_part_file_is_at(s->shared.fd, s->names[VIC_SPOOL_STREAM_PART]))
        return vic_error_set(err, VIC_CONFLICT, "%s was replaced while it was written",
                             s->names[VIC_SPOOL_STREAM_PART]);
    if (fdatasync(index->fd) || fdatasync(s->shared.fd) ||
        rename(s->names[VIC_SPOOL_INDEX_PART], s->names[VIC_SPOOL_INDEX]) ||
        rename(s->names[VIC_SPOOL_STREAM_PART], s->names[VIC_SPOOL_STREAM]))
        return vic_error_errno(err, errno, "keeping %s", s->names[VIC_SPOOL_STREAM]);
    unlink(s->names[VIC_SPOOL_ETAG]);
    return vic_part_file_sync_folder(s->names[VIC_SPOOL_STREAM], err);
}

/* What an earlier fetch has left, and what the server called it. 0: nothing to go on. */
static uint64_t find_part(struct vic_spool *s, char etag[VIC_SOURCE_ETAG])
{
    int fd = open(s->names[VIC_SPOOL_ETAG], O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd < 0 ? -1 : read(fd, etag, VIC_SOURCE_ETAG - 1);
    struct stat st;

    if (fd >= 0)
        close(fd);
    etag[n > 0 ? n : 0] = '\0';
    if (n < 3 || strpbrk(etag, "\r\n") ||
        lstat(s->names[VIC_SPOOL_STREAM_PART], &st) != 0 || !S_ISREG(st.st_mode))
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
    if (stages && atomic_load(s->cancelled))
        vic_stages_stop(stages);
    pthread_mutex_unlock(&s->lock);
}

/* Once, from the start or from what is there. */
static int fetch_once(struct vic_spool *s, const struct vic_description *d, int lock,
                      uint64_t stored, const char *etag, struct vic_disk_result *result,
                      struct vic_error *err)
{
    struct fetch f = { .sink = { .write = tap_write, .end = tap_end },
                       .watcher = { on_batch },
                       .spool = s,
                       .stored = stored,
                       .etag_kept = stored > 0 };
    unsigned i;
    int code;

    if (fetch_open_files(s, lock, stored > 0, err))
        return -1;
    f.stages = vic_stages_new(d, &vic_nowhere, NULL, err);
    if (!f.stages)
        return -1;
    vic_stages_tap(f.stages, &f.sink);
    vic_stages_watch(f.stages, &f.watcher);
    if (stored)
        vic_stages_resume(f.stages, s->names[VIC_SPOOL_STREAM_PART], etag);
    set_stages(s, f.stages);
    code = vic_stages_run(f.stages, err);
    set_stages(s, NULL);
    result->capacity = s->image.size;
    result->received = f.at;
    result->written = f.at;
    for (i = 0; i < VIC_ALGORITHMS; i++)
        strcpy(result->digests[i], vic_stages_digest(f.stages, (enum vic_algorithm)i));
    vic_stages_free(f.stages);
    if (code == 0)
        code = commit(s, f.at, err);
    if (code)
        vic_spool_break_off(s);
    else
        vic_spool_announce(s, s->image.size);
    return code;
}

static bool fetch_begin(struct vic_spool *s, const atomic_bool *cancelled)
{
    bool free;

    pthread_mutex_lock(&s->lock);
    free = !s->fetching;
    s->fetching = true;
    if (free) {
        s->cancelled = cancelled;
        memset(&s->progress, 0, sizeof(s->progress));
    }
    pthread_mutex_unlock(&s->lock);
    return free;
}

/* From what is here on, if that is of any use. */
static int fetch_locked(struct vic_spool *s, const struct vic_description *d, int lock,
                        struct vic_disk_result *result, struct vic_error *err)
{
    char etag[VIC_SOURCE_ETAG];
    uint64_t stored = d->file || d->zeros ? 0 : find_part(s, etag);
    int code = fetch_once(s, d, lock, stored, etag, result, err);

    /* What is here is damaged, or of another stream. */
    if (code && stored && (err->kind == VIC_CONFLICT || err->kind == VIC_FORMAT))
        code = fetch_once(s, d, lock, 0, "", result, err);
    return code;
}

int vic_spool_fetch(struct vic_spool *s, const struct vic_description *d,
                    const atomic_bool *cancelled, struct vic_disk_result *result,
                    struct vic_error *err)
{
    int lock, code = -1;

    if (!fetch_begin(s, cancelled))
        return vic_error_set(err, VIC_BUSY, "%s is being written",
                             s->names[VIC_SPOOL_STREAM]);
    lock = vic_part_file_open(s->names[VIC_SPOOL_STREAM_PART], err);
    if (lock >= 0) {
        code = fetch_locked(s, d, lock, result, err);
        flock(lock, LOCK_UN); /* readers keep the file open */
        close(lock);
    } else {
        vic_spool_break_off(s);
    }
    pthread_mutex_lock(&s->lock);
    s->fetching = false;
    s->cancelled = NULL;
    pthread_mutex_unlock(&s->lock);
    return code;
}
