/*
 * heads: a server's connections of which a request is still awaited. Who sends a byte now
 * and then keeps none of them: a head has its time, and of those that lack theirs there is
 * a number, in all and for each address; the oldest makes room. Downloads do not count.
 *
 * Any thread.
 */
#ifndef VIC_HEADS_H
#define VIC_HEADS_H

struct sockaddr;
struct vic_head;
struct vic_heads;

/* With a thread of its own. `time`: seconds for the head of a connection's first request;
 * `idle`: for that of another one. */
struct vic_heads *vic_heads_new(double time, double idle);

/* When there is no connection left. NULL is fine. */
void vic_heads_free(struct vic_heads *heads);

/* A connection has come; what is returned stands for it until vic_heads_closed(). */
struct vic_head *vic_heads_opened(struct vic_heads *heads, int fd,
                                  const struct sockaddr *from);

/* Its request is there. */
void vic_heads_there(struct vic_heads *heads, struct vic_head *head);

/* That is answered; another one may come. */
void vic_heads_again(struct vic_heads *heads, struct vic_head *head);

/* Before its descriptor is closed. NULL is fine. */
void vic_heads_closed(struct vic_heads *heads, struct vic_head *head);

#endif
