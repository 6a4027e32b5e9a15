/*
 * folders: see folders.h.
 */
#include "folders.h"

#include "alloc.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEEPEST 64 /* folders inside each other that are removed: each costs an fd */

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* ---- remove ---- */

static int folder_empty(int fd, int depth, const atomic_bool *stop);

/* One name in the folder `fd`, whatever it is. */
static int entry_remove(int fd, const char *name, int depth, const atomic_bool *stop)
{
    int child;

    if (unlinkat(fd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -1;
    child = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (child < 0 || folder_empty(child, depth, stop) < 0)
        return -1;
    return unlinkat(fd, name, AT_REMOVEDIR);
}

/* Removes what is in the folder `fd`, which it closes. -1: errno. */
static int folder_empty(int fd, int depth, const atomic_bool *stop)
{
    DIR *dir = fdopendir(fd);
    struct dirent *entry;
    int problem = 0;

    if (!dir) {
        problem = errno;
        close(fd);
        errno = problem;
        return -1;
    }
    while (!problem) {
        errno = 0;
        entry = readdir(dir);
        if (!entry) {
            problem = errno;
            break;
        }
        if (is_dots(entry->d_name))
            continue;
        if (stop && atomic_load(stop))
            problem = ECANCELED;
        else if (depth >= DEEPEST)
            problem = ELOOP;
        else if (entry_remove(fd, entry->d_name, depth + 1, stop) < 0)
            problem = errno;
    }
    closedir(dir);
    errno = problem;
    return problem ? -1 : 0;
}

/* Whether `path` is one that nobody means to remove with all that is in it. */
static bool is_unlikely(const char *path)
{
    const char *slash = strrchr(path, '/');

    return path[strspn(path, "/")] == '\0' || is_dots(slash ? slash + 1 : path);
}

int vic_file_remove(const char *path, bool missing_ok, bool recursive,
                    const atomic_bool *stop, struct vic_error *err)
{
    struct stat st;
    int result;

    if (recursive && is_unlikely(path))
        return vic_error_set(err, VIC_INVALID, "removing \"%s\": name it otherwise",
                             path);
    result = fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW);
    if (result == 0)
        result = recursive ? entry_remove(AT_FDCWD, path, 0, stop) : remove(path);
    if (result < 0 && !(missing_ok && errno == ENOENT))
        return vic_error_errno(err, errno, "removing %s", path);
    return 0;
}

/* ---- make ---- */

static int folder_make_one(const char *path, unsigned mode)
{
    struct stat st;

    if (mkdir(path, mode) == 0)
        return 0;
    if (errno != EEXIST)
        return -1;
    if (stat(path, &st) < 0 || S_ISDIR(st.st_mode))
        return 0;
    errno = ENOTDIR;
    return -1;
}

int vic_folder_make(const char *path, unsigned mode, bool parents, struct vic_error *err)
{
    char *copy = vic_strdup(path);
    char *at = copy + strspn(copy, "/");
    int result = 0;

    while (parents && result == 0 && (at = strchr(at, '/')) != NULL) {
        *at = '\0';
        result = folder_make_one(copy, 0777);
        *at = '/';
        at += strspn(at, "/");
    }
    if (result == 0)
        result = folder_make_one(copy, mode);
    if (result < 0)
        vic_error_errno(err, errno, "making the folder %s", path);
    free(copy);
    return result;
}

/* Of a group that can be nobody but us: a volume's fsGroup gives it rights at each mount. */
static int private_check(const char *path, int fd, struct vic_error *err)
{
    struct stat st;

    if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
        return vic_error_set(err, VIC_DENIED,
                             "%s is a link or a file, not a folder: remove it, or name "
                             "another one",
                             path);
    if (fd < 0 || fstat(fd, &st) < 0)
        return vic_error_errno(err, errno, "opening the folder %s", path);
    if (st.st_uid != geteuid())
        return vic_error_set(err, VIC_DENIED,
                             "the folder %s belongs to user %u, not to us (user %u): "
                             "remove it, or name another one",
                             path, (unsigned)st.st_uid, (unsigned)geteuid());
    if (st.st_mode & S_IWOTH)
        return vic_error_set(err, VIC_DENIED,
                             "everybody may write to the folder %s (mode %04o): empty it "
                             "and chmod it to 0700, or name another one",
                             path, (unsigned)st.st_mode & 07777);
    if ((st.st_mode & 07777) != 0700 && fchmod(fd, 0700) < 0)
        return vic_error_errno(err, errno, "taking others' rights from the folder %s",
                               path);
    return 0;
}

int vic_folder_make_private(const char *path, struct vic_error *err)
{
    int fd, result;

    if (vic_folder_make(path, 0700, true, err) < 0)
        return -1;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    result = private_check(path, fd, err);
    if (fd >= 0)
        close(fd);
    return result;
}

/* ---- look ---- */

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int vic_folder_list(const char *path, char ***names, struct vic_error *err)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    char **list = vic_alloc(sizeof(*list));
    size_t count = 0;
    int problem = dir ? 0 : errno;

    while (dir && !problem) {
        errno = 0;
        entry = readdir(dir);
        if (!entry) {
            problem = errno;
            break;
        }
        if (is_dots(entry->d_name))
            continue;
        list = vic_realloc(list, (count + 2) * sizeof(*list));
        list[count++] = vic_strdup(entry->d_name);
        list[count] = NULL;
    }
    if (dir)
        closedir(dir);
    if (problem) {
        while (count > 0)
            free(list[--count]);
        free(list);
        return vic_error_errno(err, problem, "listing %s", path);
    }
    qsort(list, count, sizeof(*list), by_bytes);
    *names = list;
    return 0;
}

static const char *kind_of(mode_t mode)
{
    if (S_ISREG(mode))
        return "file";
    if (S_ISDIR(mode))
        return "directory";
    return S_ISLNK(mode) ? "link" : "other";
}

int vic_file_stat(const char *path, bool follow, struct vic_file_stat *out,
                  struct vic_error *err)
{
    struct stat st;

    if (fstatat(AT_FDCWD, path, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
        return vic_error_errno(err, errno, "looking at %s", path);
    out->size = st.st_size;
    out->blocks_bytes = (int64_t)st.st_blocks * 512;
    out->mtime = (double)st.st_mtim.tv_sec + (double)st.st_mtim.tv_nsec / 1e9;
    out->mode = st.st_mode & 07777;
    out->uid = st.st_uid;
    out->kind = kind_of(st.st_mode);
    return 0;
}

int vic_file_space(const char *path, uint64_t *free_bytes, uint64_t *total_bytes,
                   struct vic_error *err)
{
    struct statvfs fs;

    if (statvfs(path, &fs) < 0)
        return vic_error_errno(err, errno, "looking at the file system of %s", path);
    *free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    *total_bytes = (uint64_t)fs.f_blocks * fs.f_frsize;
    return 0;
}

int vic_file_lock(const char *path, int *fd, struct vic_error *err)
{
    /* A folder cannot be opened for writing; it can be locked all the same. */
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (file < 0 && errno == EISDIR)
        file = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file >= 0 && flock(file, LOCK_EX | LOCK_NB) == 0) {
        *fd = file;
        return 0;
    }
    if (file >= 0 && errno == EWOULDBLOCK)
        vic_error_set(err, VIC_BUSY, "locking %s: held by another process", path);
    else
        vic_error_errno(err, errno, "locking %s", path);
    if (file >= 0)
        close(file);
    return -1;
}
