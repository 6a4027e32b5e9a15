/*
 * room: see room.h. One for the whole process.
 */
#include "room.h"

#include "least.h"

#define ALL ((size_t)16 << 20)

static size_t used;
static struct vic_share *first; /* in line */
static struct vic_share **last = &first;

/* First come first served: a small share does not overtake a large one. */
static void room_advance(void)
{
    while (first && first->size <= ALL - used) {
        struct vic_share *share = first;

        first = share->next;
        if (!first)
            last = &first;
        share->waits = false;
        share->held = true;
        used += share->size;
        share->given(share);
    }
}

bool vic_room_ask(struct vic_share *share, size_t size)
{
    share->size = vic_least_size(size, ALL);
    if (!first && share->size <= ALL - used) {
        share->held = true;
        used += share->size;
        return true;
    }
    share->waits = true;
    share->next = NULL;
    *last = share;
    last = &share->next;
    return false;
}

static void leave_line(struct vic_share *share)
{
    struct vic_share **link = &first;

    while (*link != share)
        link = &(*link)->next;
    *link = share->next;
    if (last == &share->next)
        last = link;
}

void vic_room_leave(struct vic_share *share)
{
    if (share->waits)
        leave_line(share);
    if (share->held)
        used -= share->size;
    if (!share->waits && !share->held)
        return;
    share->waits = share->held = false;
    room_advance();
}
