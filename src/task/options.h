/*
 * options: a table of options that Lua passes, read by a list of descriptors.
 *
 * Wrong types and unknown names throw: they are mistakes in a script.
 */
#ifndef VIC_OPTIONS_H
#define VIC_OPTIONS_H

#include <lua.h>
#include <stddef.h>

enum vic_option_type {
    VIC_OPTION_STRING,  /* const char *, no NUL inside; lives as long as the table */
    VIC_OPTION_BYTES,   /* struct vic_bytes */
    VIC_OPTION_SECONDS, /* double, not negative */
    VIC_OPTION_SIZE,    /* size_t */
    VIC_OPTION_UNSIGNED,
    VIC_OPTION_PORT,  /* uint16_t */
    VIC_OPTION_BOOL,  /* bool; anything but nil and false is true */
    VIC_OPTION_OTHER, /* allowed; the caller reads it */
};

struct vic_bytes {
    const char *data; /* NULL: not given */
    size_t size;
};

struct vic_option {
    const char *name;
    enum vic_option_type type;
    size_t offset; /* of the field in the struct that is filled */
};

/* Fills `into` with what the table at `index` gives; what it does not give stays as
 * it is. The list ends with a name of NULL. nil and none are an empty table. */
void vic_options_read(lua_State *L, int index, const struct vic_option *list, void *into);

#endif
