#include "metrics.h"

#include "alloc.h"
#include "error.h"
#include "metrics_text.h"
#include "text.h"

#include <ctype.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_SIZE 128 /* bytes */

static struct {
    pthread_mutex_t lock; /* the list and what hangs on it */
    struct vic_metric *first;
} registry = { PTHREAD_MUTEX_INITIALIZER, NULL };

static bool valid_name(const char *name, const char *more)
{
    const char *p = name;

    if (isdigit((unsigned char)*p))
        return false;
    while (isalnum((unsigned char)*p) || (*p && strchr(more, *p)))
        p++;
    return p > name && *p == '\0';
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);

    return n >= m && strcmp(name + n - m, end) == 0;
}

static int metrics_check_name(const struct vic_metric_opts *opts, struct vic_error *err)
{
    static const char *const TAKEN[] = { "_bucket", "_sum", "_count" };
    size_t i;

    if (!valid_name(opts->name, "_:") || strlen(opts->name) > NAME_MAX_SIZE ||
        strncmp(opts->name, "process_", 8) == 0)
        return vic_error_set(err, VIC_INVALID, "metric %s: not a name", opts->name);
    if ((opts->kind == VIC_COUNTER) != ends_with(opts->name, "_total"))
        return vic_error_set(err, VIC_INVALID,
                             "metric %s: a counter's name, and no other, ends in _total",
                             opts->name);
    for (i = 0; i < sizeof(TAKEN) / sizeof(TAKEN[0]); i++)
        if (ends_with(opts->name, TAKEN[i]))
            return vic_error_set(err, VIC_INVALID, "metric %s: %s is for histograms",
                                 opts->name, TAKEN[i]);
    return 0;
}

static int check_help(const struct vic_metric_opts *opts, struct vic_error *err)
{
    const char *help = opts->help;
    size_t len = strlen(help);

    if (len > 0 && vic_utf8_valid(help, len) == len && !strpbrk(help, "\\\r\n"))
        return 0;
    return vic_error_set(err, VIC_INVALID, "metric %s: help must be one line of text",
                         opts->name);
}

static int check_labels(const struct vic_metric_opts *opts, struct vic_error *err)
{
    size_t i, j;

    for (i = 0; i < opts->label_count; i++) {
        const char *label = opts->labels[i];

        if (!valid_name(label, "_") || strncmp(label, "__", 2) == 0 ||
            (opts->kind == VIC_HISTOGRAM && strcmp(label, "le") == 0))
            return vic_error_set(err, VIC_INVALID, "metric %s: %s is no name of a label",
                                 opts->name, label);
        for (j = 0; j < i; j++)
            if (strcmp(opts->labels[j], label) == 0)
                return vic_error_set(err, VIC_INVALID, "metric %s: two labels named %s",
                                     opts->name, label);
    }
    return 0;
}

static int check_bounds(const struct vic_metric_opts *opts, struct vic_error *err)
{
    size_t i;

    if ((opts->kind == VIC_HISTOGRAM) != (opts->bound_count > 0))
        return vic_error_set(err, VIC_INVALID, "metric %s: a histogram has buckets",
                             opts->name);
    for (i = 0; i < opts->bound_count; i++)
        if (!isfinite(opts->bounds[i]) ||
            (i > 0 && opts->bounds[i] <= opts->bounds[i - 1]))
            return vic_error_set(err, VIC_INVALID,
                                 "metric %s: buckets must be numbers that ascend",
                                 opts->name);
    return 0;
}

static bool metrics_same(const struct vic_metric *m, const struct vic_metric_opts *opts)
{
    size_t i;

    if (m->kind != opts->kind || m->label_count != opts->label_count ||
        m->bound_count != opts->bound_count || strcmp(m->help, opts->help) != 0)
        return false;
    for (i = 0; i < m->label_count; i++)
        if (strcmp(m->labels[i], opts->labels[i]) != 0)
            return false;
    for (i = 0; i < m->bound_count; i++)
        if (m->bounds[i] != opts->bounds[i])
            return false;
    return true;
}

/* `verb="get",code="200"`: what tells a series from the metric's others, and how it is
 * written. Ends in a zero byte. */
static struct vic_text labels_text(const struct vic_metric *m, const char *const *values)
{
    struct vic_text text = { 0 };
    size_t i;

    for (i = 0; i < m->label_count; i++) {
        if (i > 0)
            vic_text_char(&text, ',');
        vic_text_puts(&text, m->labels[i]);
        vic_text_char(&text, '=');
        vic_text_label(&text, values[i], strlen(values[i]), VIC_METRIC_VALUE);
    }
    vic_text_char(&text, '\0');
    return text;
}

static struct vic_series *series_new(const struct vic_metric *m, const char *labels)
{
    struct vic_series *s = vic_alloc(sizeof(*s) + m->bound_count * sizeof(s->buckets[0]));

    s->labels = vic_strdup(labels);
    return s;
}

static void series_free(struct vic_series *s)
{
    free(s->labels);
    free(s);
}

/* Takes the lock. The series, made if need be; NULL: there is no more room. Then
 * unlock() follows, either way. */
static struct vic_series *lock_series(struct vic_metric *m, const char *const *values)
{
    struct vic_text labels = labels_text(m, values);
    struct vic_series **p = &m->series;

    pthread_mutex_lock(&registry.lock);
    while (*p && strcmp((*p)->labels, labels.data) != 0)
        p = &(*p)->next;
    if (!*p && m->series_count < VIC_METRIC_SERIES) {
        *p = series_new(m, labels.data);
        m->series_count++;
    }
    if (!*p)
        m->dropped++;
    vic_text_fini(&labels);
    return *p;
}

static void unlock(void)
{
    pthread_mutex_unlock(&registry.lock);
}

static struct vic_metric *metric_new(const struct vic_metric_opts *opts)
{
    struct vic_metric *m = vic_alloc(sizeof(*m));
    size_t i;

    m->kind = opts->kind;
    m->name = vic_strdup(opts->name);
    m->help = vic_strdup(opts->help);
    m->label_count = opts->label_count;
    for (i = 0; i < m->label_count; i++)
        m->labels[i] = vic_strdup(opts->labels[i]);
    m->bound_count = opts->bound_count;
    memcpy(m->bounds, opts->bounds, sizeof(m->bounds));
    if (m->label_count == 0) {
        m->series = series_new(m, "");
        m->series_count = 1;
    }
    return m;
}

struct vic_metric *vic_metric_register(const struct vic_metric_opts *opts,
                                       struct vic_error *err)
{
    struct vic_metric **p = &registry.first;
    struct vic_metric *m;

    if (metrics_check_name(opts, err) < 0 || check_help(opts, err) < 0 ||
        check_labels(opts, err) < 0 || check_bounds(opts, err) < 0)
        return NULL;
    pthread_mutex_lock(&registry.lock);
    while (*p && strcmp((*p)->name, opts->name) != 0)
        p = &(*p)->next;
    if (!*p)
        *p = metric_new(opts);
    m = *p;
    if (!metrics_same(m, opts)) {
        vic_error_set(err, VIC_INVALID, "metric %s: is defined otherwise elsewhere",
                      opts->name);
        m = NULL;
    }
    unlock();
    return m;
}

size_t vic_metric_label_count(const struct vic_metric *m)
{
    return m->label_count;
}

const char *vic_metric_label(const struct vic_metric *m, size_t i)
{
    return m->labels[i];
}

void vic_metric_add(struct vic_metric *m, const char *const *values, double by)
{
    struct vic_series *s = lock_series(m, values);

    if (s)
        s->value += by;
    unlock();
}

void vic_metric_set(struct vic_metric *m, const char *const *values, double value)
{
    struct vic_series *s = lock_series(m, values);

    if (s)
        s->value = value;
    unlock();
}

void vic_metric_observe(struct vic_metric *m, const char *const *values, double value)
{
    struct vic_series *s = lock_series(m, values);
    size_t i = 0;

    if (s) {
        s->value += value;
        s->count++;
        while (i < m->bound_count && value > m->bounds[i])
            i++;
        if (i < m->bound_count)
            s->buckets[i]++;
    }
    unlock();
}

void vic_metric_remove(struct vic_metric *m, const char *const *values)
{
    struct vic_text labels = { 0 };
    struct vic_series **p = &m->series;
    struct vic_series *s;

    if (values)
        labels = labels_text(m, values);
    pthread_mutex_lock(&registry.lock);
    while ((s = *p)) {
        if (values && strcmp(s->labels, labels.data) != 0) {
            p = &s->next;
            continue;
        }
        *p = s->next;
        m->series_count--;
        series_free(s);
    }
    unlock();
    vic_text_fini(&labels);
}

void vic_metrics_text(struct vic_text *text)
{
    const struct vic_metric *m;

    pthread_mutex_lock(&registry.lock);
    for (m = registry.first; m; m = m->next)
        vic_metric_text(text, m);
    vic_metrics_dropped_text(text, registry.first);
    unlock();
    vic_metrics_process_text(text);
}
