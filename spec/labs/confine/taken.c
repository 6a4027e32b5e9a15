/*
 * taken: a converter, or the process of site scripts, that somebody else has taken over.
 *
 *   taken [--sandbox] TOKEN PARENT [ATTEMPT]
 *
 * Tries to get out in every way of the table below, or in one of them, and prints a line
 * "ATTEMPT ERROR" for each, ERROR being the name of an errno, or REACHED. With --sandbox it
 * first puts itself where site scripts run; TOKEN is a file that is none of its business, PARENT
 * the number of the process that has started it.
 */
#include "sandbox_limits.h"

#include <linux/io_uring.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEMORY ((size_t)80 << 20)

static const char *token;
static pid_t parent;
static char beside[4096]; /* a name in the token's folder */

/* A file of the parent's in /proc, opened. */
static long proc_open(const char *name, int flags)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)parent, name);
    return open(path, flags);
}

/* A child that ends at once, if there is one. */
static long ended(long pid)
{
    if (pid == 0)
        _exit(0);
    return pid;
}

static long new_program(bool at)
{
    static char *none[] = { "true", NULL };

    return at ? syscall(SYS_execveat, AT_FDCWD, "/bin/true", none, none, 0)
              : execve("/bin/true", none, none);
}

/* Another descriptor than the three, inherited from whoever. */
static long descriptor(void)
{
    int fd;

    for (fd = 3; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            return fd;
    return -1;
}

static long io_uring(void)
{
    struct io_uring_params params = { 0 };

    return syscall(SYS_io_uring_setup, 8, &params);
}

/* By the numbers of 32 bits, where socket is another one. Lives no longer than that. */
static long old_numbers(void)
{
#ifdef __x86_64__
    long result;

    __asm__ volatile("int $0x80" : "=a"(result) : "a"(359), "b"(2), "c"(1), "d"(0));
    errno = (int)-result;
    return result < 0 ? -1 : result;
#else
    errno = ENOSYS;
    return -1;
#endif
}

#define ATTEMPTS                                                                         \
    TRY(descriptor, descriptor())                                                        \
    TRY(socket, socket(AF_INET, SOCK_STREAM, 0))                                         \
    TRY(socket_unix, socket(AF_UNIX, SOCK_STREAM, 0))                                    \
    TRY(socketpair, socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){ 0 }))                  \
    TRY(connect, connect(0, NULL, 0))                                                    \
    TRY(sendmsg, sendmsg(1, NULL, 0))                                                    \
    TRY(recvmsg, recvmsg(0, NULL, 0))                                                    \
    TRY(fork, ended(syscall(SYS_fork)))                                                  \
    TRY(vfork, ended(syscall(SYS_vfork)))                                                \
    TRY(clone, ended(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)))                           \
    TRY(clone3, syscall(SYS_clone3, 0, 0))                                               \
    TRY(execve, new_program(false))                                                      \
    TRY(execveat, new_program(true))                                                     \
    TRY(token, open(token, O_RDONLY))                                                    \
    TRY(token_write, open(token, O_WRONLY))                                              \
    TRY(create, open(beside, O_WRONLY | O_CREAT, 0600))                                  \
    TRY(passwd, open("/etc/passwd", O_RDONLY))                                           \
    TRY(own_proc, open("/proc/self/maps", O_RDONLY))                                     \
    TRY(parent_environ, proc_open("environ", O_RDONLY))                                  \
    TRY(parent_memory, proc_open("mem", O_RDWR))                                         \
    TRY(parent_maps, proc_open("maps", O_RDONLY))                                        \
    TRY(parent_descriptor, proc_open("fd/1", O_WRONLY))                                  \
    TRY(parent_root, proc_open("root/etc/passwd", O_RDONLY))                             \
    TRY(pidfd_open, syscall(SYS_pidfd_open, parent, 0))                                  \
    TRY(pidfd_getfd, syscall(SYS_pidfd_getfd, 0, 0, 0))                                  \
    TRY(pidfd_send_signal, syscall(SYS_pidfd_send_signal, 0, 0, 0, 0))                   \
    TRY(kill, kill(parent, 0))                                                           \
    TRY(tgkill, syscall(SYS_tgkill, parent, parent, 0))                                  \
    TRY(tkill, syscall(SYS_tkill, parent, 0))                                            \
    TRY(ptrace, syscall(SYS_ptrace, 16, parent, 0, 0))                                   \
    TRY(process_vm_readv, syscall(SYS_process_vm_readv, parent, 0, 0, 0, 0, 0))          \
    TRY(process_vm_writev, syscall(SYS_process_vm_writev, parent, 0, 0, 0, 0, 0))        \
    TRY(process_madvise, syscall(SYS_process_madvise, 0, 0, 0, 0, 0))                    \
    TRY(kcmp, syscall(SYS_kcmp, parent, parent, 0, 0, 0))                                \
    TRY(prlimit_parent, syscall(SYS_prlimit64, parent, 7, NULL, NULL))                   \
    TRY(io_uring, io_uring())                                                            \
    TRY(io_setup, syscall(SYS_io_setup, 1, &(unsigned long){ 0 }))                       \
    TRY(memfd_create, syscall(SYS_memfd_create, "x", 0))                                 \
    TRY(mount, mount("x", "/none", "tmpfs", 0, NULL))                                    \
    TRY(umount, umount2("/none", 0))                                                     \
    TRY(pivot_root, syscall(SYS_pivot_root, "/none", "/"))                               \
    TRY(chroot, chroot("/"))                                                             \
    TRY(unshare, unshare(CLONE_NEWUSER))                                                 \
    TRY(setns, setns(0, 0))                                                              \
    TRY(keyctl, syscall(SYS_keyctl, 0, 0))                                               \
    TRY(add_key, syscall(SYS_add_key, "user", "x", "y", 1, -2))                          \
    TRY(request_key, syscall(SYS_request_key, "user", "x", "y", -2))                     \
    TRY(bpf, syscall(SYS_bpf, 0, 0, 0))                                                  \
    TRY(perf_event_open, syscall(SYS_perf_event_open, 0, 0, 0, 0, 0))                    \
    TRY(userfaultfd, syscall(SYS_userfaultfd, 0))                                        \
    TRY(open_by_handle_at, syscall(SYS_open_by_handle_at, -1, 0, 0))                     \
    TRY(name_to_handle_at, syscall(SYS_name_to_handle_at, AT_FDCWD, token, 0, 0, 0))     \
    TRY(inotify_init, syscall(SYS_inotify_init1, 0))                                     \
    TRY(fanotify_init, syscall(SYS_fanotify_init, 0, 0))                                 \
    TRY(setsid, setsid())                                                                \
    TRY(chmod, chmod(token, 0666))                                                       \
    TRY(chown, chown(token, getuid(), getgid()))                                         \
    TRY(unlink, unlink(token))                                                           \
    TRY(rename, rename(token, beside))                                                   \
    TRY(link, link(token, beside))                                                       \
    TRY(symlink, symlink(token, beside))                                                 \
    TRY(mkdir, mkdir(beside, 0700))                                                      \
    TRY(mknod, mknod(beside, S_IFIFO | 0600, 0))                                         \
    TRY(truncate, truncate(token, 0))                                                    \
    TRY(utimensat, utimensat(AT_FDCWD, token, NULL, 0))                                  \
    TRY(setxattr, setxattr(token, "user.x", "y", 1, 0))                                  \
    TRY(shmget, syscall(SYS_shmget, 1, 4096, 01600))                                     \
    TRY(msgget, syscall(SYS_msgget, 1, 01600))                                           \
    TRY(mq_open, syscall(SYS_mq_open, "x", O_RDWR | O_CREAT, 0600, 0))                   \
    TRY(splice, syscall(SYS_splice, 0, 0, 1, 0, 0, 0))                                   \
    TRY(vmsplice, syscall(SYS_vmsplice, 1, 0, 0, 0))                                     \
    TRY(ioctl_terminal, ioctl(0, TIOCSTI, "x"))                                          \
    TRY(ioctl_no_inherit, ioctl(1, FIOCLEX))                                             \
    TRY(dumpable, prctl(PR_SET_DUMPABLE, 1))                                             \
    TRY(ptracer, prctl(PR_SET_PTRACER, -1L))                                             \
    TRY(personality, syscall(SYS_personality, 0x40000))                                  \
    TRY(sched_setaffinity, syscall(SYS_sched_setaffinity, parent, 0, 0))                 \
    TRY(setpriority, syscall(SYS_setpriority, 0, 0, 0))                                  \
    TRY(seccomp, syscall(SYS_seccomp, 2, 0, 0))                                          \
    TRY(init_module, syscall(SYS_init_module, 0, 0, ""))                                 \
    TRY(syslog, syscall(SYS_syslog, 10, 0, 0))                                           \
    TRY(clock_settime, syscall(SYS_clock_settime, 0, 0))                                 \
    TRY(reboot, syscall(SYS_reboot, 0, 0, 0, 0))                                         \
    TRY(old_numbers, old_numbers())

static bool wanted(const char *name, const char *only)
{
    return only ? strcmp(name, only) == 0 : strcmp(name, "old_numbers") != 0;
}

static void say(const char *name, long result)
{
    char line[100];
    int size = snprintf(line, sizeof(line), "%s %s\n", name,
                        result >= 0 ? "REACHED" : strerrorname_np(errno));

    if (write(STDOUT_FILENO, line, (size_t)size) < 0)
        _exit(1);
}

int main(int argc, char **argv)
{
    bool sandbox = argc > 1 && strcmp(argv[1], "--sandbox") == 0;
    const char *only;

    argv += sandbox ? 2 : 1;
    if (!argv[0] || !argv[1])
        return EXIT_FAILURE;
    token = argv[0];
    parent = atoi(argv[1]); /* NOLINT(cert-err34-c): a spec's */
    only = argv[2];
    snprintf(beside, sizeof(beside), "%s.new", token);
    if (sandbox)
        vic_sandbox_limit(MEMORY);
#define TRY(name, call)                                                                  \
    if (wanted(#name, only))                                                             \
        say(#name, call);
    ATTEMPTS
#undef TRY
    return EXIT_SUCCESS;
}
