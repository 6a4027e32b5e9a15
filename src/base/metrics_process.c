#include "metrics_text.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define STAT_SIZE 1024

/* A small file of /proc as text; false: it cannot be read. */
static bool read_proc(const char *path, char *into, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, into, size - 1);

    if (fd >= 0)
        close(fd);
    into[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* What follows the program's name in /proc/self/stat: a blank and field 3, the state, and
 * so on. NULL: it cannot be read. */
static const char *read_stat(char stat[STAT_SIZE])
{
    const char *name = NULL;

    if (read_proc("/proc/self/stat", stat, STAT_SIZE))
        name = strrchr(stat, ')'); /* it may hold blanks and brackets */
    return name ? name + 1 : NULL;
}

/* The number after `count` blanks. */
static double field(const char *p, int count)
{
    while (count-- > 0) {
        p = strchr(p, ' ');
        if (!p)
            return 0;
        p++;
    }
    return strtod(p, NULL);
}

/* Seconds since 1970 at which the machine was started. */
static double boot_time(void)
{
    char text[16384]; /* btime stands after a line per CPU and all interrupts */
    const char *line;
    FILE *file = fopen("/proc/stat", "re");
    double when = 0;

    while (file && when == 0 && (line = fgets(text, sizeof(text), file)))
        if (strncmp(line, "btime ", 6) == 0)
            when = strtod(line + 6, NULL);
    if (file)
        fclose(file);
    return when;
}

/* Taken once: the kernel's idea of when it booted moves with its clock. */
static double started;
static pthread_once_t started_once = PTHREAD_ONCE_INIT;

static void find_started(void)
{
    char stat[STAT_SIZE];
    const char *p = read_stat(stat);

    if (p)
        started = boot_time() + field(p, 20) / (double)sysconf(_SC_CLK_TCK);
}

static double metrics_process_open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = -3; /* ".", "..", and the folder's own */

    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n > 0 ? n : 0;
}

static void gauge(struct vic_text *text, const char *name, const char *help, double value)
{
    vic_metrics_head(text, name, help, "gauge");
    vic_metrics_line(text, name, "", NULL, NULL, value);
}

void vic_metrics_process_text(struct vic_text *text)
{
    static const char CPU[] = "process_cpu_seconds_total";
    double ticks = (double)sysconf(_SC_CLK_TCK);
    struct rlimit files = { 0 };
    char stat[STAT_SIZE];
    const char *p = read_stat(stat);

    if (!p)
        return;
    pthread_once(&started_once, find_started);
    vic_metrics_head(text, CPU, "Time on a CPU, user and system, in seconds.", "counter");
    vic_metrics_line(text, CPU, "", NULL, NULL, (field(p, 12) + field(p, 13)) / ticks);
    gauge(text, "process_start_time_seconds", "When it was started, seconds since 1970.",
          started);
    gauge(text, "process_virtual_memory_bytes", "Size of the address space.",
          field(p, 21));
    gauge(text, "process_resident_memory_bytes", "Resident memory.",
          field(p, 22) * (double)sysconf(_SC_PAGESIZE));
    gauge(text, "process_open_fds", "Open file descriptors.",
          metrics_process_open_files());
    getrlimit(RLIMIT_NOFILE, &files);
    gauge(text, "process_max_fds", "How many file descriptors may be open.",
          (double)files.rlim_cur);
}
