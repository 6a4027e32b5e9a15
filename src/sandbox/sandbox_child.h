/*
 * sandbox_child: the process that runs site scripts, one call at a time.
 *
 * It reads requests from descriptor 0 and writes an answer to each to descriptor 1, both
 * JSON behind a length of four bytes, little endian. It keeps nothing between two calls.
 * Its parent (host.sandbox) watches the clock and kills it.
 *
 * Request: {script, text, deadline} to look at a script, with {hook, input, builtin} to
 * call one of its hooks. Answer:
 *
 *   {"hooks":[{name,line}],"globals":[{name,line,written}]}  the script is sound
 *   {"value":...} or {}                                what the hook returned; {}: nil
 *   {"error":"..."}                                    with script:line where known
 *   besides: "log":[{level,message}]
 *
 * Its first frame is {"seccomp":true|false}.
 */
#ifndef VIC_SANDBOX_CHILD_H
#define VIC_SANDBOX_CHILD_H

#define VIC_SANDBOX_FRAME (1024 * 1024) /* bytes of one request or answer, at most */

/* Until descriptor 0 ends; returns the exit code. */
int vic_sandbox_child(void);

#endif
