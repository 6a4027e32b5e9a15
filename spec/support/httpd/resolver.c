/*
 * A resolver that never answers, for this process alone: its own network with nothing
 * but loopback, its own /etc/resolv.conf, and a name server that reads nothing.
 */
#include "httpd.h"

#include <lauxlib.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int loopback_up(int fd)
{
    struct ifreq request;

    memset(&request, 0, sizeof(request));
    strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    return ioctl(fd, SIOCSIFFLAGS, &request);
}

static int server_bind(int fd)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(53) };

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return bind(fd, (struct sockaddr *)&address, sizeof(address));
}

static int conf_mount(void)
{
    static const char text[] = "nameserver 127.0.0.1\noptions timeout:10 attempts:1\n";
    char path[] = "/tmp/resolv.XXXXXX";
    int fd = mkstemp(path);
    int result = -1;

    if (fd >= 0 && write(fd, text, sizeof(text) - 1) > 0 && fchmod(fd, 0644) == 0)
        result = mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL);
    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
    return result;
}

/*
 * httpd.hang_resolver() -> true | nil, reason
 * To be called before the process has a second thread. Needs root.
 */
int l_hang_resolver(lua_State *L)
{
    /* The descriptor stays open until the process ends. */
    if (unshare(CLONE_NEWNS | CLONE_NEWNET) == 0 &&
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && conf_mount() == 0) {
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (fd >= 0 && loopback_up(fd) == 0 && server_bind(fd) == 0) {
            lua_pushboolean(L, 1);
            return 1;
        }
    }
    lua_pushnil(L);
    lua_pushstring(L, strerror(errno));
    return 2;
}
