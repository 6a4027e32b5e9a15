/*
 * powers: see powers.h.
 */
#include "powers.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <unistd.h>

#define KEPT (1U << CAP_DAC_OVERRIDE | 1U << CAP_DAC_READ_SEARCH)

void vic_powers_hide(void)
{
    prctl(PR_SET_DUMPABLE, 0);
}

void vic_powers_drop(void)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];

    if (syscall(SYS_capget, &header, caps))
        return;
    caps[0].effective &= KEPT;
    caps[0].permitted &= KEPT;
    caps[0].inheritable = 0;
    caps[1] = (struct __user_cap_data_struct){ 0 };
    syscall(SYS_capset, &header, caps);
}
