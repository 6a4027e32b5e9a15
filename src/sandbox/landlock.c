/*
 * landlock: see landlock.h. Source: Linux, include/uapi/linux/landlock.h; the versions'
 * rights: Documentation/userspace-api/landlock.rst
 */
#include "landlock.h"

#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#define CREATE_VERSION 1
#define RULE_PATH      1

#define FS_EXECUTE    (1ULL << 0)
#define FS_WRITE_FILE (1ULL << 1)
#define FS_READ_FILE  (1ULL << 2)
#define FS_READ_DIR   (1ULL << 3)
#define FS_TRUNCATE   (1ULL << 14)

/* Of files: all that a version knows. Index: the version, from 1. */
static const uint64_t FS_RIGHTS[] = {
    0,
    (1ULL << 13) - 1,
    (1ULL << 14) - 1,
    (1ULL << 15) - 1,
    (1ULL << 15) - 1,
    (1ULL << 16) - 1,
};
#define FS_NEWEST (sizeof(FS_RIGHTS) / sizeof(FS_RIGHTS[0]) - 1)

#define NET_FROM   4 /* versions */
#define SCOPE_FROM 6
#define NET_TCP    3ULL /* bind, connect */
#define SCOPE_ALL  3ULL /* abstract sockets, signals */

struct ruleset {
    uint64_t fs, net, scope;
};

struct beneath {
    uint64_t allowed;
    int32_t fd;
} __attribute__((packed));

int vic_landlock_version(void)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);

    return version > 0 ? (int)version : 0;
}

static uint64_t rights_of(enum vic_landlock_use use)
{
    switch (use) {
    case VIC_LANDLOCK_READ:
        return FS_READ_FILE;
    case VIC_LANDLOCK_WRITE:
        return FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE;
    case VIC_LANDLOCK_RUN:
        return FS_READ_FILE | FS_EXECUTE;
    case VIC_LANDLOCK_LIBRARIES:
        break;
    }
    return FS_READ_FILE | FS_READ_DIR | FS_EXECUTE;
}

static bool rule_add(int ruleset, const struct vic_landlock_rule *rule, uint64_t known)
{
    struct beneath beneath = { .allowed = rights_of(rule->use) & known };
    struct stat st;
    bool added;

    beneath.fd = open(rule->path, O_PATH | O_CLOEXEC);
    if (beneath.fd < 0)
        return rule->use == VIC_LANDLOCK_LIBRARIES && errno == ENOENT;
    /* A right that only folders have is refused on a file. */
    if (fstat(beneath.fd, &st) == 0 && !S_ISDIR(st.st_mode))
        beneath.allowed &= ~FS_READ_DIR;
    added = syscall(SYS_landlock_add_rule, ruleset, RULE_PATH, &beneath, 0) == 0;
    close(beneath.fd);
    return added;
}

int vic_landlock_apply(const struct vic_landlock_rule *rules, size_t count)
{
    int version = vic_landlock_version(), fd;
    struct ruleset handled = {
        .fs = FS_RIGHTS[version < (int)FS_NEWEST ? version : (int)FS_NEWEST],
        .net = version >= NET_FROM ? NET_TCP : 0,
        .scope = version >= SCOPE_FROM ? SCOPE_ALL : 0,
    };
    bool applied;
    size_t i;

    /* What a kernel does not know of the struct it takes as long as it is 0. */
    fd = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled), 0);
    applied = fd >= 0;
    for (i = 0; applied && i < count; i++)
        applied = rule_add(fd, &rules[i], handled.fs);
    applied = applied && syscall(SYS_landlock_restrict_self, fd, 0) == 0;
    if (fd >= 0)
        close(fd);
    return applied ? 0 : -1;
}
