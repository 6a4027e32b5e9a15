/*
 * confinement: see confinement.h.
 */
#include "confinement.h"

#include "landlock.h"
#include "log.h"

#include <linux/seccomp.h>
#include <sys/syscall.h>

#include <stdint.h>
#include <unistd.h>

#define SECCOMP_MISSING                                                                  \
    "the kernel, or what runs this container, offers no seccomp filters"
#define LANDLOCK_MISSING                                                                 \
    "the kernel, or what runs this container, offers no Landlock (Linux 5.13 or later "  \
    "has it, where its command line's lsm= names landlock)"

static struct vic_confinement required;

struct vic_confinement vic_confinement_offered(void)
{
    uint32_t action = SECCOMP_RET_ERRNO;

    return (struct vic_confinement){
        .seccomp = syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0,
        .landlock = vic_landlock_version() > 0,
    };
}

void vic_confinement_require(struct vic_confinement what)
{
    required = what;
}

static int one_check(const char *what, bool missing, bool is_required, const char *why,
                     const char *instead, struct vic_error *err)
{
    if (!missing)
        return 0;
    if (is_required)
        return vic_error_set(err, VIC_UNSUPPORTED,
                             "%s is not started: --require-confinement: %s; use a node "
                             "that has it, or %s",
                             what, why, instead);
    vic_log(VIC_LOG_WARN, "%s runs less confined: %s", what, why);
    return 0;
}

int vic_confinement_check(const char *what, struct vic_confinement wants,
                          struct vic_error *err)
{
    static struct vic_confinement told;
    struct vic_confinement offered = vic_confinement_offered();
    bool seccomp = wants.seccomp && !offered.seccomp;
    bool landlock = wants.landlock && !offered.landlock;

    if (one_check(what, seccomp && (required.seccomp || !told.seccomp), required.seccomp,
                  SECCOMP_MISSING,
                  "leave the option out (chart: requireConfinement: none)", err) ||
        one_check(
            what, landlock && (required.landlock || !told.landlock), required.landlock,
            LANDLOCK_MISSING,
            "say --require-confinement=seccomp (chart: requireConfinement: seccomp)",
            err))
        return -1;
    told.seccomp |= seccomp;
    told.landlock |= landlock;
    return 0;
}
