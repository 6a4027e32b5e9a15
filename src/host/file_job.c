/*
 * file_job: see file_job.h.
 */
#include "file_job.h"

#include "alloc.h"
#include "options.h"

#include <lauxlib.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_MODE 07777

static void names_free(char **names)
{
    char **at;

    for (at = names; at && *at; at++)
        free(*at);
    free(names);
}

static void file_job_free(struct vic_job *job)
{
    struct vic_file_job *file = (struct vic_file_job *)job;

    if (file->fd >= 0)
        close(file->fd);
    names_free(file->names);
    free(file->data);
    free(file->path);
    free(file->to);
    free(file);
}

const char *vic_file_check_path(lua_State *L, int index)
{
    size_t size;
    const char *path = luaL_checklstring(L, index, &size);

    luaL_argcheck(L, size > 0 && strlen(path) == size, index, "not a path");
    return path;
}

void vic_file_read_opts(lua_State *L, int index, struct vic_file_opts *opts)
{
#define FIELD(name) offsetof(struct vic_file_opts, name)
    static const struct vic_option options[] = {
        { "max", VIC_OPTION_SIZE, FIELD(max) },
        { "first", VIC_OPTION_SIZE, FIELD(first) },
        { "offset", VIC_OPTION_SIZE, FIELD(offset) },
        { "mode", VIC_OPTION_UNSIGNED, FIELD(mode) },
        { "parents", VIC_OPTION_BOOL, FIELD(parents) },
        { "private", VIC_OPTION_BOOL, FIELD(is_private) },
        { "missing_ok", VIC_OPTION_BOOL, FIELD(missing_ok) },
        { "recursive", VIC_OPTION_BOOL, FIELD(recursive) },
        { "follow", VIC_OPTION_BOOL, FIELD(follow) },
        { NULL, 0, 0 },
    };
#undef FIELD

    vic_options_read(L, index, options, opts);
    if (opts->mode > MOST_MODE)
        luaL_error(L, "option 'mode': more than permission bits");
}

struct vic_file_job *vic_file_job_new(lua_State *L, const struct vic_file_opts *opts,
                                      int (*run)(struct vic_job *job),
                                      int (*push)(lua_State *L, struct vic_job *job))
{
    const char *path = vic_file_check_path(L, 1);
    struct vic_wait **box = vic_wait_box(L);
    struct vic_file_job *file = vic_alloc(sizeof(*file));

    file->job.run = run;
    file->job.push = push;
    file->job.free = file_job_free;
    file->path = vic_strdup(path);
    file->fd = -1;
    if (opts)
        file->opts = *opts;
    file->box = box;
    vic_job_box(box, &file->job);
    vic_wait_what(&file->job.wait, "file %s", path);
    return file;
}

int vic_file_job_start(lua_State *L, struct vic_file_job *file)
{
    return vic_job_start(L, file->box);
}
