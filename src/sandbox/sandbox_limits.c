/*
 * sandbox_limits: resource limits, then a list of the system calls that are left.
 */
#include "sandbox_limits.h"

#include "landlock.h"
#include "powers.h"

#include <seccomp.h>

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* their shadow memory takes terabytes of addresses */
#else
#define SANITIZED 0
#endif

static void sandbox_limit_one(int resource, rlim_t most)
{
    struct rlimit value = { .rlim_cur = most, .rlim_max = most };

    setrlimit(resource, &value);
}

/* Bytes of addresses that are in use, or 0. */
static size_t address_space(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;

    if (!file)
        return 0;
    if (fscanf(file, "%lu", &pages) != 1) /* NOLINT(cert-err34-c): the kernel's text */
        pages = 0;
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* `now`: bytes of addresses in use. */
static void sandbox_limit_resources(size_t now, size_t memory)
{
    if (!SANITIZED && now > 0)
        sandbox_limit_one(RLIMIT_AS, now + memory);
    sandbox_limit_one(RLIMIT_CORE, 0);
    sandbox_limit_one(RLIMIT_FSIZE, 0);
    sandbox_limit_one(RLIMIT_MEMLOCK, 0);
    sandbox_limit_one(RLIMIT_NOFILE, 0);
    sandbox_limit_one(RLIMIT_NPROC, 0);
}

/* The system calls of malloc, reading, writing and ending. All others end the process. */
static int allow_calls(scmp_filter_ctx filter)
{
    static const int calls[] = {
        SCMP_SYS(brk),          SCMP_SYS(clock_gettime),
        SCMP_SYS(exit),         SCMP_SYS(exit_group),
        SCMP_SYS(futex),        SCMP_SYS(getrandom),
        SCMP_SYS(madvise),      SCMP_SYS(mremap),
        SCMP_SYS(munmap),       SCMP_SYS(restart_syscall),
        SCMP_SYS(rt_sigreturn), SCMP_SYS(time),
    };
    size_t i;
    int problem = 0;

    for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        problem |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
    problem |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(read), 1,
                                SCMP_A0(SCMP_CMP_EQ, STDIN_FILENO, 0));
    problem |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), 1,
                                SCMP_A0(SCMP_CMP_EQ, STDOUT_FILENO, 0));
    problem |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                                SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    problem |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                                SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    return problem;
}

static bool sandbox_filter_calls(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    bool loaded;

    if (!filter)
        return false;
    loaded = allow_calls(filter) == 0 && seccomp_load(filter) == 0;
    seccomp_release(filter);
    return loaded;
}

bool vic_sandbox_limit(size_t memory)
{
    size_t now = address_space(); /* before no file can be read */
    bool landlock;

    vic_powers_hide();
    vic_powers_drop();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    /* Besides the filter, which lets it open nothing. Takes a descriptor. */
    landlock = SANITIZED || vic_landlock_version() == 0 || !vic_landlock_apply(NULL, 0);
    sandbox_limit_resources(now, memory);
    close_range(SANITIZED ? STDERR_FILENO + 1 : STDERR_FILENO, ~0U, 0);
    return SANITIZED || (sandbox_filter_calls() && landlock);
}
