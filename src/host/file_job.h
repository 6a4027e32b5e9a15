/*
 * file_job: what all jobs of host.file have in common. Only for file*.c.
 */
#ifndef VIC_FILE_JOB_H
#define VIC_FILE_JOB_H

#include "folders.h"
#include "job.h"

#include <lua.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vic_file_opts {
    size_t max;
    size_t first;
    size_t offset;
    unsigned mode;
    bool parents;
    bool is_private;
    bool missing_ok;
    bool recursive;
    bool follow;
};

struct vic_file_job {
    struct vic_job job; /* first, so that a vic_job * is a file_job * */
    struct vic_wait **box;
    char *path;
    char *to;
    struct vic_file_opts opts;
    char *data; /* given or read */
    size_t size;
    char **names;
    struct vic_file_stat stat;
    uint64_t free_bytes, total_bytes;
    int fd; /* of a lock; -1: none */
};

/* The path at `index`; throws for one with a zero byte, behind which the operating
 * system would not look. */
const char *vic_file_check_path(lua_State *L, int index);

/* Fills `opts` from the table at `index`; what it does not say stays as it is. */
void vic_file_read_opts(lua_State *L, int index, struct vic_file_opts *opts);

/* Pushes a box with a job for the path at 1. `opts` may be NULL. */
struct vic_file_job *vic_file_job_new(lua_State *L, const struct vic_file_opts *opts,
                                      int (*run)(struct vic_job *job),
                                      int (*push)(lua_State *L, struct vic_job *job));

/* Use as `return vic_file_job_start(...)`. */
int vic_file_job_start(lua_State *L, struct vic_file_job *file);

#endif
