/*
 * log: the line is put together in memory of the calling thread, then written by a
 * single write(2).
 */
#include "log.h"

#include "text.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LONGEST_LINE    8192
#define LONGEST_MESSAGE 4096
#define LONGEST_NAME    128
#define LONGEST_FIELD   2048
#define LONGEST_END     64 /* what closes a line */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool debug; /* both are written once, before any thread reads them */
static bool terminal;

static void look_around(void)
{
    const char *value = getenv("DEBUG");

    debug = value && (strcmp(value, "true") == 0 || strcmp(value, "TRUE") == 0);
    terminal = isatty(STDERR_FILENO);
}

static const char *level_name(enum vic_log_level level)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };

    return names[level];
}

static void begin_json(struct vic_text *line, enum vic_log_level level,
                       const char *message, size_t len)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    vic_text_puts(line, "{\"time\":\"");
    vic_text_time(line, &now, 3);
    vic_text_puts(line, "\",\"level\":\"");
    vic_text_puts(line, level_name(level));
    vic_text_puts(line, "\",\"message\":");
    vic_text_json(line, message, len, LONGEST_MESSAGE);
}

static void add_json(struct vic_text *line, const struct vic_log_field *f)
{
    vic_text_char(line, ',');
    vic_text_json(line, f->name, f->name_len, LONGEST_NAME);
    vic_text_char(line, ':');
    if (f->json_len > LONGEST_FIELD)
        vic_text_json(line, f->json, f->json_len, LONGEST_FIELD);
    else
        vic_text_add(line, f->json, f->json_len);
}

static void begin_text(struct vic_text *line, enum vic_log_level level,
                       const char *message, size_t len)
{
    time_t now = time(NULL);
    struct tm tm;
    char clock[16];

    localtime_r(&now, &tm);
    strftime(clock, sizeof(clock), "%H:%M:%S ", &tm);
    vic_text_puts(line, clock);
    if (level != VIC_LOG_INFO) {
        vic_text_puts(line, level_name(level));
        vic_text_puts(line, ": ");
    }
    vic_text_visible(line, message, len, LONGEST_MESSAGE);
}

static void log_add_text(struct vic_text *line, const struct vic_log_field *f)
{
    vic_text_puts(line, "  ");
    vic_text_visible(line, f->name, f->name_len, LONGEST_NAME);
    vic_text_char(line, '=');
    vic_text_visible(line, f->json, f->json_len, LONGEST_FIELD);
}

/* All fields that the line has room for. */
static void add_fields(struct vic_text *line, const struct vic_log_field *fields,
                       size_t count)
{
    bool left_out = false;
    size_t i;

    for (i = 0; i < count; i++) {
        size_t before = line->size;

        (terminal ? log_add_text : add_json)(line, &fields[i]);
        if (line->size > LONGEST_LINE - LONGEST_END) {
            line->size = before;
            left_out = true;
        }
    }
    if (left_out)
        vic_text_puts(line, terminal ? "  ..." : ",\"truncated\":true");
}

void vic_log_event(enum vic_log_level level, const char *message, size_t len,
                   const struct vic_log_field *fields, size_t count)
{
    struct vic_text line = { 0 };
    ssize_t written;

    if (!vic_log_enabled(level))
        return;
    (terminal ? begin_text : begin_json)(&line, level, message, len);
    add_fields(&line, fields, count);
    vic_text_puts(&line, terminal ? "\n" : "}\n");
    written = write(STDERR_FILENO, line.data, line.size);
    (void)written; /* there is nowhere to say so */
    vic_text_fini(&line);
}

void vic_log(enum vic_log_level level, const char *fmt, ...)
{
    char message[LONGEST_MESSAGE];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);
    vic_log_event(level, message, strlen(message), NULL, 0);
}

bool vic_log_enabled(enum vic_log_level level)
{
    pthread_once(&once, look_around);
    return level != VIC_LOG_DEBUG || debug;
}
