/*
 * pages_connection: one connection of net/pages: a request, its answer, the end. Only for
 * pages.c, on its thread.
 */
#ifndef VIC_PAGES_CONNECTION_H
#define VIC_PAGES_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>

struct pages_connection;
struct sockaddr_storage;
struct vic_text;

typedef unsigned pages_page_fn(void *arg, const char *path, struct vic_text *text);

/* `fd` is taken over; it does not block. */
struct pages_connection *pages_connection_new(int fd,
                                              const struct sockaddr_storage *address);
void pages_connection_free(struct pages_connection *connection);

int pages_connection_fd(const struct pages_connection *connection);

/* What it waits for, of poll(2). */
short pages_connection_events(const struct pages_connection *connection);

/* When it has to be over with what it does, by vic_now(). */
double pages_connection_ends(const struct pages_connection *connection);

/* Whether both are from one address. */
bool pages_connection_is_of(const struct pages_connection *connection,
                            const struct pages_connection *like);

/* It can go on. False: it is over. */
bool pages_connection_run(struct pages_connection *connection, pages_page_fn *page,
                          void *arg);

/* Whether it does, since VIC_PAGES_LATER. */
bool pages_connection_waits(const struct pages_connection *connection);

/* The answer for one that waits since VIC_PAGES_LATER; others do not mind. */
void pages_connection_tell(struct pages_connection *connection, unsigned status,
                           const char *text, size_t size);

#endif
