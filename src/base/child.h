/*
 * child: a subprocess that is given a text, and whose output is captured, bounded.
 *
 * On the thread of its loop. No shell. It leads a session of its own, and is ended
 * with all that it has started there; it inherits no descriptor but the three pipes.
 * vic_child_start() never fails: what went wrong is known when `done` is called,
 * once, never from inside start or kill. Then its maker frees it.
 */
#ifndef VIC_CHILD_H
#define VIC_CHILD_H

#include "error.h"

#include <uv.h>

#include <stdbool.h>
#include <stddef.h>

struct vic_child;

struct vic_child_opts {
    char *const *argv;     /* ended by NULL; argv[0] is searched in PATH */
    char *const *launcher; /* what becomes argv's program, if not NULL */
    char *const *env;      /* "NAME=value", ended by NULL, besides the few that a program
                          needs (PATH, HOME, LANG ...); may be NULL */
    bool inherit;          /* all of our environment instead of the few */
    const char *cwd;       /* NULL: ours */
    const char *input;     /* copied; NULL: an empty one */
    size_t input_size;
    double timeout;    /* seconds; 0: no limit */
    size_t max_output; /* bytes of both outputs together */
    void *arg;
    void (*heard)(void *arg, const char *data, size_t size); /* stdout; may be NULL */
    void (*done)(void *arg);
};

struct vic_child_output {
    char *data; /* not terminated; NULL if there was none */
    size_t size;
};

struct vic_child_result {
    int status; /* exit code; 0 if a signal ended it */
    int signal; /* 0: none */
    struct vic_child_output out, err;
};

struct vic_child *vic_child_start(uv_loop_t *loop, const struct vic_child_opts *opts);

/* Ends it with kind cancelled. */
void vic_child_kill(struct vic_child *child);

/* After `done`: why there is no result, or NULL. */
const struct vic_error *vic_child_error(const struct vic_child *child);
const struct vic_child_result *vic_child_result(const struct vic_child *child);
void vic_child_free(struct vic_child *child);

#endif
