/*
 * confine: resource limits, and a list of the system calls that fail.
 */
#include "confine.h"

#include "alloc.h"

#include <seccomp.h>

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define FLAG     "--confined"
#define FIRST    5 /* where the program's own arguments begin */
#define MAX_OPEN 64

static char *number(size_t value)
{
    char text[32];

    snprintf(text, sizeof(text), "%zu", value);
    return vic_strdup(text);
}

char **vic_confine_launcher(const struct vic_confine *limits)
{
    char **list = vic_alloc((FIRST + 1) * sizeof(*list));

    list[0] = vic_strdup("/proc/self/exe");
    list[1] = vic_strdup(FLAG);
    list[2] = number(limits->memory);
    list[3] = number(limits->cpu);
    list[4] = number(limits->file_size);
    return list;
}

bool vic_confine_asked(int argc, char **argv)
{
    return argc > FIRST && strcmp(argv[1], FLAG) == 0;
}

static bool confine_limit(int resource, rlim_t most)
{
    struct rlimit value = { .rlim_cur = most, .rlim_max = most };

    return setrlimit(resource, &value) == 0;
}

static bool limit_to(int resource, const char *text)
{
    char *end;
    unsigned long long most = strtoull(text, &end, 10);

    if (!*text || *end)
        return false;
    return most == 0 || confine_limit(resource, most);
}

static bool confine_limit_resources(char **argv)
{
    return limit_to(RLIMIT_AS, argv[2]) && limit_to(RLIMIT_CPU, argv[3]) &&
           limit_to(RLIMIT_FSIZE, argv[4]) && confine_limit(RLIMIT_CORE, 0) &&
           confine_limit(RLIMIT_NOFILE, MAX_OPEN);
}

static int refuse_calls(scmp_filter_ctx filter)
{
    static const int calls[] = {
        SCMP_SYS(accept),  SCMP_SYS(accept4),          SCMP_SYS(bind),
        SCMP_SYS(bpf),     SCMP_SYS(connect),          SCMP_SYS(fork),
        SCMP_SYS(keyctl),  SCMP_SYS(listen),           SCMP_SYS(mount),
        SCMP_SYS(ptrace),  SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
        SCMP_SYS(setns),   SCMP_SYS(socket),           SCMP_SYS(perf_event_open),
        SCMP_SYS(unshare), SCMP_SYS(userfaultfd),      SCMP_SYS(vfork),
    };
    size_t i;
    int problem = 0;

    for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        problem |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), calls[i], 0);
    /* Threads, but no process. What clone3 is asked for cannot be seen; libc then falls
     * back to clone. */
    problem |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    problem |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
    return problem;
}

/* Where the kernel has no seccomp, the limits alone must do. */
static void confine_filter_calls(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

    if (!filter)
        return;
    if (refuse_calls(filter) == 0)
        seccomp_load(filter);
    seccomp_release(filter);
}

int vic_confine_run(int argc, char **argv)
{
    bool missing;

    (void)argc;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    confine_filter_calls();
    if (!confine_limit_resources(argv)) {
        perror("limits");
        return EXIT_FAILURE;
    }
    execvp(argv[FIRST], argv + FIRST);
    missing = errno == ENOENT;
    perror(argv[FIRST]);
    /* At once: what runs at exit may need the calls that are refused by now. */
    _exit(missing ? VIC_CONFINE_MISSING : EXIT_FAILURE);
}
