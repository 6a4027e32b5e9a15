/*
 * room: memory that the bodies of large answers share, however many are on their way.
 *
 * Loop thread only. Who asks gets all that it may need, at once or in its turn: nobody
 * holds a part and waits for more.
 */
#ifndef VIC_ROOM_H
#define VIC_ROOM_H

#include <stdbool.h>
#include <stddef.h>

/* A share. Embed it; zeroed it is none. */
struct vic_share {
    void (*given)(struct vic_share *share); /* its turn has come */
    size_t size;                            /* from here on: room's own */
    bool waits, held;
    struct vic_share *next;
};

/* Asks for `size` bytes (more than there are in all: for all). True: they are given;
 * else given() will be called. */
bool vic_room_ask(struct vic_share *share, size_t size);

/* Gives them back, or leaves the line; may call given() of others. Again: nothing. */
void vic_room_leave(struct vic_share *share);

#endif
