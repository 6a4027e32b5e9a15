/*
 * confine_calls: what libc, its loader, qemu-img and sha512sum call, of Debian 12 and 13.
 *
 * Not among them, and so refused: sockets, processes, signals to others, namespaces and
 * mounts, io_uring, keys, bpf, what looks into other processes, changes of names, owners
 * and modes, memory that is a file.
 */
#include "confine_calls.h"

#include <linux/fs.h>
#include <seccomp.h>

#include <asm/ioctls.h>
#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <unistd.h>

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define IS(value)   SCMP_A0(SCMP_CMP_EQ, value, 0) /* a first argument; the 0 is unused */

static const int ALLOWED[] = {
    /* files */
    SCMP_SYS(access),
    SCMP_SYS(close),
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(dup3),
    SCMP_SYS(faccessat),
    SCMP_SYS(fadvise64),
    SCMP_SYS(fallocate),
    SCMP_SYS(fcntl),
    SCMP_SYS(fdatasync),
    SCMP_SYS(flock),
    SCMP_SYS(fstat),
    SCMP_SYS(fstatfs),
    SCMP_SYS(fsync),
    SCMP_SYS(ftruncate),
    SCMP_SYS(getcwd),
    SCMP_SYS(getdents64),
    SCMP_SYS(lseek),
    SCMP_SYS(lstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(pread64),
    SCMP_SYS(preadv),
    SCMP_SYS(preadv2),
    SCMP_SYS(pwrite64),
    SCMP_SYS(pwritev),
    SCMP_SYS(pwritev2),
    SCMP_SYS(read),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(readv),
    SCMP_SYS(stat),
    SCMP_SYS(statfs),
    SCMP_SYS(statx),
    SCMP_SYS(sync_file_range),
    SCMP_SYS(umask),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    /* memory and threads */
    SCMP_SYS(arch_prctl),
    SCMP_SYS(brk),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(futex),
    SCMP_SYS(get_robust_list),
    SCMP_SYS(madvise),
    SCMP_SYS(membarrier),
    SCMP_SYS(mmap),
    SCMP_SYS(mprotect),
    SCMP_SYS(mremap),
    SCMP_SYS(munmap),
    SCMP_SYS(rseq),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_yield),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(set_tid_address),
    /* waiting, and signals to itself */
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(eventfd2),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(nanosleep),
    SCMP_SYS(pipe2),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(pselect6),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(signalfd4),
    SCMP_SYS(time),
    /* who and where it is */
    SCMP_SYS(getegid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getpid),
    SCMP_SYS(getrandom),
    SCMP_SYS(getrusage),
    SCMP_SYS(gettid),
    SCMP_SYS(getuid),
    SCMP_SYS(sysinfo),
    SCMP_SYS(uname),
};

/* libc has another way where the kernel is too old for these. What clone3 and openat2 are
 * asked for could not be seen. */
static const int UNKNOWN[] = {
    SCMP_SYS(clone3),     SCMP_SYS(close_range), SCMP_SYS(copy_file_range),
    SCMP_SYS(faccessat2), SCMP_SYS(openat2),
};

/* The requests of ioctl() that qemu-img makes of a plain file. */
static const unsigned long REQUESTS[] = { TCGETS, FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR };

static const int SETTINGS[] = { PR_SET_NAME, PR_SET_TIMERSLACK }; /* of prctl() */

static int refuse_as_unknown(scmp_filter_ctx filter)
{
    int problem = 0;
    size_t i;

    for (i = 0; i < COUNT(UNKNOWN); i++)
        problem |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), UNKNOWN[i], 0);
    return problem;
}

/* Those that depend on what they are asked. */
static int allow_some(scmp_filter_ctx filter, const char *program)
{
    const scmp_datum_t thread = CLONE_THREAD, self = (scmp_datum_t)getpid();
    int problem = 0;
    size_t i;

    for (i = 0; i < COUNT(REQUESTS); i++)
        problem |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                                    SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, REQUESTS[i]));
    for (i = 0; i < COUNT(SETTINGS); i++)
        problem |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
                                    IS((scmp_datum_t)SETTINGS[i]));
    problem |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                                SCMP_A0(SCMP_CMP_MASKED_EQ, thread, thread));
    problem |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, IS(self));
    problem |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, IS(0));
    /* Once: the address means nothing in what it becomes. */
    problem |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(execve), 1,
                                IS((scmp_datum_t)program));
    return problem;
}

bool vic_confine_calls(const char *program)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int problem = 0;
    size_t i;

    if (!filter)
        return false;
    for (i = 0; i < COUNT(ALLOWED); i++)
        problem |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, ALLOWED[i], 0);
    problem |= refuse_as_unknown(filter) | allow_some(filter, program);
    problem = problem ? problem : seccomp_load(filter);
    seccomp_release(filter);
    return problem == 0;
}
