/*
 * without: as on a kernel that lacks Landlock, or seccomp.
 *
 *   without landlock|seccomp PROGRAM [ARGUMENT ...]
 *
 * The calls that would offer it fail for PROGRAM and all that it starts, as they do on such
 * a kernel.
 */
#include <seccomp.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static int take(scmp_filter_ctx filter, const char *what)
{
    if (strcmp(what, "landlock") == 0)
        return seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS),
                                SCMP_SYS(landlock_create_ruleset), 0);
    if (strcmp(what, "seccomp") != 0)
        return -1;
    if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(seccomp), 0))
        return -1;
    return seccomp_rule_add(filter, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(prctl), 1,
                            SCMP_A0(SCMP_CMP_EQ, PR_SET_SECCOMP, 0));
}

int main(int argc, char **argv)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

    if (argc < 3 || !filter || take(filter, argv[1]) || seccomp_load(filter)) {
        fprintf(stderr, "usage: without landlock|seccomp PROGRAM [ARGUMENT ...]\n");
        return EXIT_FAILURE;
    }
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    return EXIT_FAILURE;
}
