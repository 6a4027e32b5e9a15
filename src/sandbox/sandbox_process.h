/*
 * sandbox_process: a child process that runs site scripts (sandbox_child.h), one question
 * at a time. It is killed when it takes too long or answers nonsense, and is of no more
 * use then.
 *
 * No Lua. On the loop's thread.
 */
#ifndef VIC_SANDBOX_PROCESS_H
#define VIC_SANDBOX_PROCESS_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>

struct vic_sandbox;

/* NULL: it cannot be started, or not as vic_confinement_require() says. It is not waited
 * for. */
struct vic_sandbox *vic_sandbox_start(struct vic_error *err);

/* It is killed; its memory goes when the process has ended. */
void vic_sandbox_release(struct vic_sandbox *sandbox);

/* `data` is valid during the call; NULL: `err` says why there is no answer. */
typedef void vic_sandbox_answer(void *arg, const char *data, size_t size,
                                const struct vic_error *err);

/* When nothing is asked. `done` is called once, later. -1: it is of no use any more, and
 * `done` is not called.
 *
 *   request   at most VIC_SANDBOX_FRAME bytes
 *   deadline  seconds of a processor; then it is killed, or after ten times as many of the
 *             wall's
 */
int vic_sandbox_ask(struct vic_sandbox *sandbox, const char *request, size_t size,
                    double deadline, vic_sandbox_answer *done, void *arg);

/* Kills it; who has asked is not called any more. */
void vic_sandbox_forget(struct vic_sandbox *sandbox);

/* Does somebody wait for an answer? */
bool vic_sandbox_asked(const struct vic_sandbox *sandbox);

/* Can it take a question? */
bool vic_sandbox_usable(const struct vic_sandbox *sandbox);

int vic_sandbox_pid(const struct vic_sandbox *sandbox);

#endif
