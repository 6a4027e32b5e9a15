/*
 * confine: the launcher's arguments, and what becomes of them.
 *
 * KEY=VALUE each, until "--", after which the program's own begin.
 */
#include "confine.h"

#include "alloc.h"
#include "confine_calls.h"
#include "landlock.h"
#include "powers.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define FLAG     "--confined"
#define END      "--"
#define MAX_OPEN 64

/* Where a program of Debian's finds its libraries, and what libc and gnutls read first. */
static const char *const LIBRARIES[] = {
    "/lib",         "/lib64",    "/usr/lib", "/usr/lib64", "/etc/ld.so.cache",
    "/dev/urandom", "/dev/null", NULL,
};

/* ---- who asks ---- */

static void list_add(char ***list, size_t *count, const char *key, const char *value)
{
    size_t size = strlen(key) + strlen(value) + 1;
    char *text = vic_alloc(size);

    snprintf(text, size, "%s%s", key, value);
    *list = vic_realloc(*list, (*count + 2) * sizeof(**list));
    (*list)[(*count)++] = text;
    (*list)[*count] = NULL;
}

static void list_add_size(char ***list, size_t *count, const char *key, size_t value)
{
    char text[32];

    snprintf(text, sizeof(text), "%zu", value);
    list_add(list, count, key, text);
}

static void list_add_all(char ***list, size_t *count, const char *key, char **values)
{
    for (; values && *values; values++)
        list_add(list, count, key, *values);
}

char **vic_confine_launcher(const struct vic_confine *limits)
{
    char **list = NULL;
    size_t count = 0;

    list_add(&list, &count, "", "/proc/self/exe");
    list_add(&list, &count, "", FLAG);
    list_add_size(&list, &count, "memory=", limits->memory);
    list_add_size(&list, &count, "cpu=", limits->cpu);
    list_add_size(&list, &count, "file-size=", limits->file_size);
    list_add_all(&list, &count, "read=", limits->read);
    list_add_all(&list, &count, "write=", limits->write);
    if (limits->with.landlock)
        list_add(&list, &count, "with=", "landlock");
    if (limits->with.seccomp)
        list_add(&list, &count, "with=", "seccomp");
    list_add(&list, &count, "", END);
    return list;
}

bool vic_confine_asked(int argc, char **argv)
{
    return argc > 2 && strcmp(argv[1], FLAG) == 0;
}

/* ---- who is asked ---- */

/* The value of KEY=VALUE, or NULL. */
static const char *value_of(const char *text, const char *key)
{
    size_t size = strlen(key);

    return strncmp(text, key, size) == 0 && text[size] == '=' ? text + size + 1 : NULL;
}

/* The first value of `key`, or NULL. */
static const char *first_of(char **argv, const char *key)
{
    const char *value = NULL;

    for (; !value && strcmp(*argv, END) != 0; argv++)
        value = value_of(*argv, key);
    return value;
}

static bool is_with(char **argv, const char *what)
{
    for (; strcmp(*argv, END) != 0; argv++) {
        const char *value = value_of(*argv, "with");

        if (value && strcmp(value, what) == 0)
            return true;
    }
    return false;
}

static bool confine_limit(int resource, rlim_t most)
{
    struct rlimit value = { .rlim_cur = most, .rlim_max = most };

    return setrlimit(resource, &value) == 0;
}

static bool limit_to(int resource, const char *text)
{
    char *end;
    unsigned long long most;

    if (!text || !*text)
        return false;
    most = strtoull(text, &end, 10);
    return !*end && (most == 0 || confine_limit(resource, most));
}

static bool confine_limit_resources(char **argv)
{
    return limit_to(RLIMIT_AS, first_of(argv, "memory")) &&
           limit_to(RLIMIT_CPU, first_of(argv, "cpu")) &&
           limit_to(RLIMIT_FSIZE, first_of(argv, "file-size")) &&
           confine_limit(RLIMIT_CORE, 0) && confine_limit(RLIMIT_NOFILE, MAX_OPEN);
}

/* The program, what it loads, and the files that it was given. */
static bool confine_files(char **argv, const char *program)
{
    size_t most = sizeof(LIBRARIES) / sizeof(LIBRARIES[0]) + 1, count = 0, i;
    struct vic_landlock_rule *rules;
    char **at;
    bool applied;

    for (at = argv; *at; at++)
        most++;
    rules = vic_alloc(most * sizeof(*rules));
    rules[count++] = (struct vic_landlock_rule){ program, VIC_LANDLOCK_RUN };
    for (i = 0; LIBRARIES[i]; i++)
        rules[count++] =
            (struct vic_landlock_rule){ LIBRARIES[i], VIC_LANDLOCK_LIBRARIES };
    for (at = argv; strcmp(*at, END) != 0; at++) {
        const char *read = value_of(*at, "read"), *write = value_of(*at, "write");

        if (read)
            rules[count++] = (struct vic_landlock_rule){ read, VIC_LANDLOCK_READ };
        if (write)
            rules[count++] = (struct vic_landlock_rule){ write, VIC_LANDLOCK_WRITE };
    }
    applied = vic_landlock_apply(rules, count) == 0;
    free(rules);
    return applied;
}

/* As execvp() looks for it. -1: there is none. */
static int program_find(const char *name, char *found, size_t size)
{
    const char *path = getenv("PATH"), *end;

    if (strchr(name, '/')) {
        snprintf(found, size, "%s", name);
        return access(found, F_OK);
    }
    for (path = path ? path : "/usr/bin:/bin"; path; path = *end ? end + 1 : NULL) {
        end = path + strcspn(path, ":");
        snprintf(found, size, "%.*s/%s", (int)(end - path), path, name);
        if (access(found, X_OK) == 0)
            return 0;
    }
    return -1;
}

static int confine_failed(const char *what)
{
    perror(what);
    return EXIT_FAILURE;
}

int vic_confine_run(int argc, char **argv)
{
    char program[PATH_MAX], **own = argv + 2;

    while (*own && strcmp(*own, END) != 0)
        own++;
    if (!*own || !own[1] || argc < 3)
        return EXIT_FAILURE;
    own++;
    if (program_find(*own, program, sizeof(program)) < 0) {
        perror(*own);
        return VIC_CONFINE_MISSING;
    }
    vic_powers_drop();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (is_with(argv + 2, "landlock") && !confine_files(argv + 2, program))
        return confine_failed("landlock");
    if (is_with(argv + 2, "seccomp") && !vic_confine_calls(program))
        return confine_failed("seccomp");
    /* Last: what comes before allocates, of which a sanitizer takes terabytes. */
    if (!confine_limit_resources(argv + 2))
        _exit(confine_failed("limits"));
    execve(program, own, environ);
    perror(program);
    /* At once: what runs at exit may need the calls that are refused by now. */
    _exit(EXIT_FAILURE);
}
