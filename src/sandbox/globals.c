/*
 * globals: a reader of the dump's format. Source: ldump.c and lopcodes.h of Lua 5.4.
 */
#include "globals.h"

#include "text.h"
#include "value.h"

#include <lauxlib.h>
#include <stdint.h>

#include <string.h>

#define HEADER      31 /* signature, version, format, check data, sizes, 2 numbers */
#define OP_GETTABUP 11 /* R[A] := Upvalue[B][K[C]] */
#define OP_SETTABUP 15 /* Upvalue[A][K[B]] := ... */
#define ABS_LINE    (-128)

struct name {
    const char *text;
    size_t size;
};

/* One function of the dump; pointers into it. */
struct function {
    long line;
    const unsigned char *code;
    size_t code_size;
    struct name *constants;
    size_t constant_count;
    const signed char *lines;
    size_t line_count;
    struct name *upvalues;
    size_t upvalue_count;
};

struct scan {
    lua_State *L;
    const unsigned char *p, *end;
    bool broken;
    void (*found)(void *arg, const char *name, int line, bool written);
    void *arg;
};

static const unsigned char *skip(struct scan *s, size_t size)
{
    const unsigned char *at = s->p;

    if (s->broken || size > (size_t)(s->end - s->p)) {
        s->broken = true;
        return NULL;
    }
    s->p += size;
    return at;
}

static unsigned read_byte(struct scan *s)
{
    const unsigned char *at = skip(s, 1);

    return at ? *at : 0;
}

/* Seven bits a byte, the highest first; the last byte has its top bit set. */
static size_t read_size(struct scan *s)
{
    size_t value = 0;
    unsigned byte;

    do {
        byte = read_byte(s);
        value = value << 7 | (byte & 0x7f);
    } while (!(byte & 0x80) && !s->broken);
    return value;
}

static struct name globals_read_string(struct scan *s)
{
    size_t size = read_size(s);
    struct name name = { NULL, 0 };

    if (size > 0) {
        name.text = (const char *)skip(s, size - 1);
        name.size = name.text ? size - 1 : 0;
    }
    return name;
}

/* Room for `count` names, as a userdata that is left on the stack. */
static struct name *names_new(struct scan *s, size_t count)
{
    if (s->broken || count > (size_t)(s->end - s->p)) {
        s->broken = true;
        count = 0;
    }
    return lua_newuserdatauv(s->L, (count + 1) * sizeof(struct name), 0);
}

static void read_constants(struct scan *s, struct function *f)
{
    size_t i;

    f->constant_count = read_size(s);
    f->constants = names_new(s, f->constant_count);
    for (i = 0; i < f->constant_count && !s->broken; i++) {
        unsigned type = read_byte(s);

        f->constants[i] = (struct name){ NULL, 0 };
        if ((type & 0x0f) == LUA_TSTRING)
            f->constants[i] = globals_read_string(s);
        else if ((type & 0x0f) == LUA_TNUMBER)
            skip(s, 8);
    }
}

static int line_of(const struct function *f, size_t pc, const long *absolute)
{
    long line = f->line;
    size_t i, next = 0;

    for (i = 0; i <= pc && i < f->line_count; i++)
        line = f->lines[i] == ABS_LINE ? absolute[next++] : line + f->lines[i];
    return (int)line;
}

static void report(struct scan *s, const struct function *f, unsigned upvalue,
                   unsigned constant, int line, bool written)
{
    char name[256];

    if (upvalue >= f->upvalue_count || constant >= f->constant_count ||
        f->upvalues[upvalue].size != 4 ||
        memcmp(f->upvalues[upvalue].text, "_ENV", 4) != 0 ||
        f->constants[constant].size >= sizeof(name) || !f->constants[constant].text)
        return;
    memcpy(name, f->constants[constant].text, f->constants[constant].size);
    name[f->constants[constant].size] = '\0';
    s->found(s->arg, name, line, written);
}

static void scan_code(struct scan *s, const struct function *f, const long *absolute)
{
    size_t pc;

    for (pc = 0; pc < f->code_size; pc++) {
        unsigned word;
        unsigned op;

        memcpy(&word, f->code + 4 * pc, sizeof(word));
        op = word & 0x7f;
        if (op == OP_GETTABUP)
            report(s, f, word >> 16 & 0xff, word >> 24, line_of(f, pc, absolute), false);
        else if (op == OP_SETTABUP)
            report(s, f, word >> 7 & 0xff, word >> 16 & 0xff, line_of(f, pc, absolute),
                   true);
    }
}

/* Line numbers that do not fit a byte's difference. A userdata, left on the stack. */
static long *read_absolute(struct scan *s)
{
    size_t i, count = read_size(s);
    long *lines;

    if (s->broken || count > (size_t)(s->end - s->p)) {
        s->broken = true;
        count = 0;
    }
    lines = lua_newuserdatauv(s->L, (count + 1) * sizeof(*lines), 0);
    for (i = 0; i < count; i++) {
        read_size(s); /* pc */
        lines[i] = (long)read_size(s);
    }
    return lines;
}

/* The parts that name variables; after the functions inside. */
static void read_debug(struct scan *s, struct function *f)
{
    const long *absolute;
    size_t i, count;

    f->line_count = read_size(s);
    f->lines = (const signed char *)skip(s, f->line_count);
    absolute = read_absolute(s);
    for (count = read_size(s); count > 0 && !s->broken; count--) {
        globals_read_string(s);
        read_size(s);
        read_size(s);
    }
    f->upvalue_count = read_size(s);
    f->upvalues = names_new(s, f->upvalue_count);
    for (i = 0; i < f->upvalue_count && !s->broken; i++)
        f->upvalues[i] = globals_read_string(s);
    if (!s->broken)
        scan_code(s, f, absolute);
}

/* Nesting is bounded by the compiler (200 levels). */
static void read_function(struct scan *s)
{
    struct function f = { 0 };
    int top = lua_gettop(s->L);
    size_t count;

    luaL_checkstack(s->L, 8, "scanning globals");
    globals_read_string(s); /* source */
    f.line = (long)read_size(s);
    read_size(s); /* last line */
    skip(s, 3);   /* parameters, vararg, stack */
    f.code_size = read_size(s);
    f.code = skip(s, f.code_size > SIZE_MAX / 4 ? SIZE_MAX : 4 * f.code_size);
    read_constants(s, &f);
    count = read_size(s);
    skip(s, count > SIZE_MAX / 3 ? SIZE_MAX : 3 * count);
    for (count = read_size(s); count > 0 && !s->broken; count--)
        read_function(s);
    read_debug(s, &f);
    lua_settop(s->L, top);
}

static int dump_write(lua_State *L, const void *data, size_t size, void *text)
{
    (void)L;
    vic_text_add(text, data, size);
    return 0;
}

void vic_globals(lua_State *L,
                 void (*found)(void *arg, const char *name, int line, bool written),
                 void *arg)
{
    int top = lua_gettop(L);
    struct scan s = { .L = L, .found = found, .arg = arg };
    struct vic_text *dump = vic_value_text(L);

    lua_pushvalue(L, top);
    lua_dump(L, dump_write, dump, 0);
    s.p = (const unsigned char *)dump->data;
    s.end = s.p + dump->size;
    skip(&s, HEADER + 1); /* and the number of the main function's upvalues */
    if (!s.broken)
        read_function(&s);
    /* By itself: lua_settop() of Lua 5.4.4 uses the stack after closing has moved it. */
    lua_closeslot(L, top + 1);
    lua_settop(L, top);
}
