/*
 * request_log: see request_log.h.
 */
#include "request_log.h"

#include "clock.h"
#include "log.h"
#include "text.h"
#include "url.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define MOST_FIELDS 8

struct line {
    struct vic_text values[MOST_FIELDS];
    struct vic_log_field fields[MOST_FIELDS];
    size_t count;
};

static struct vic_text *line_field(struct line *line, const char *name)
{
    struct vic_log_field *field = &line->fields[line->count];

    field->name = name;
    field->name_len = strlen(name);
    return &line->values[line->count++];
}

static void line_string(struct line *line, const char *name, const char *value,
                        size_t len)
{
    vic_text_json(line_field(line, name), value, len, SIZE_MAX);
}

static void line_number(struct line *line, const char *name, long value)
{
    char text[24];

    snprintf(text, sizeof(text), "%ld", value);
    vic_text_puts(line_field(line, name), text);
}

static void line_write(struct line *line, const char *message)
{
    size_t i;

    for (i = 0; i < line->count; i++) {
        line->fields[i].json = line->values[i].data;
        line->fields[i].json_len = line->values[i].size;
    }
    vic_log_event(VIC_LOG_DEBUG, message, strlen(message), line->fields, line->count);
    for (i = 0; i < line->count; i++)
        vic_text_fini(&line->values[i]);
}

/* host[:port] and path of what vic_url_redact() leaves of a URL. */
static void add_place(struct line *line, const char *url)
{
    const char *host = strstr(url, "://");
    const char *path;

    host = host ? host + 3 : url;
    path = host + strcspn(host, "/");
    line_string(line, "host", host, (size_t)(path - host));
    line_string(line, "path", path, strlen(path));
}

/*
 * Whose story the line belongs to, named as the other lines of that story name it: `import`
 * or `source`, "NAMESPACE/NAME", where the task's label is KIND/NAMESPACE/NAME of one.
 */
static void add_object(struct line *line, const char *task)
{
    static const char IMPORT[] = "VirtualMachineImport", SOURCE[] = "Source";
    size_t kind = strcspn(task, "/");
    const char *name = task + kind + 1;
    const char *field = NULL;

    if (!task[kind])
        return;
    if (kind == sizeof(IMPORT) - 1 && memcmp(task, IMPORT, kind) == 0)
        field = "import";
    else if (kind >= sizeof(SOURCE) - 1 &&
             memcmp(name - sizeof(SOURCE), SOURCE, sizeof(SOURCE) - 1) == 0)
        field = "source";
    if (field)
        line_string(line, field, name, strlen(name));
}

void vic_request_log(const struct vic_request_log *r)
{
    struct line line = { .count = 0 };
    char url[1024];
    char message[1200];

    if (!vic_log_enabled(VIC_LOG_DEBUG))
        return;
    vic_url_redact(r->url, url, sizeof(url));
    line_string(&line, "method", r->method, strlen(r->method));
    add_place(&line, url);
    line_number(&line, "code", r->status);
    line_number(&line, "ms", (long)((vic_now() - r->began) * 1000));
    if (r->task) {
        line_string(&line, "task", r->task, strlen(r->task));
        add_object(&line, r->task);
    }
    snprintf(message, sizeof(message), "%s %s: %d", r->method, url, r->status);
    line_write(&line, r->problem ? r->problem : message);
}
