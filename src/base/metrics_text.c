/*
 * Source of the format: Prometheus, "Exposition formats", text format 0.0.4.
 */
#include "metrics_text.h"

#include "text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void add_value(struct vic_text *text, double value)
{
    if (isnan(value))
        vic_text_puts(text, "NaN");
    else if (isinf(value))
        vic_text_puts(text, value > 0 ? "+Inf" : "-Inf");
    else
        vic_text_number(text, value);
}

void vic_metrics_head(struct vic_text *text, const char *name, const char *help,
                      const char *type)
{
    vic_text_puts(text, "# HELP ");
    vic_text_puts(text, name);
    vic_text_char(text, ' ');
    vic_text_puts(text, help);
    vic_text_puts(text, "\n# TYPE ");
    vic_text_puts(text, name);
    vic_text_char(text, ' ');
    vic_text_puts(text, type);
    vic_text_char(text, '\n');
}

void vic_metrics_line(struct vic_text *text, const char *name, const char *suffix,
                      const char *labels, const char *le, double value)
{
    bool has_labels = labels && *labels;

    vic_text_puts(text, name);
    vic_text_puts(text, suffix);
    if (has_labels || le) {
        vic_text_char(text, '{');
        vic_text_puts(text, has_labels ? labels : "");
        vic_text_puts(text, has_labels && le ? "," : "");
        if (le) {
            vic_text_puts(text, "le=\"");
            vic_text_puts(text, le);
            vic_text_char(text, '"');
        }
        vic_text_char(text, '}');
    }
    vic_text_char(text, ' ');
    add_value(text, value);
    vic_text_char(text, '\n');
}

/* The buckets are written so that each holds what those below it hold. */
static void add_histogram(struct vic_text *text, const struct vic_metric *m,
                          const struct vic_series *s)
{
    uint64_t count = 0;
    size_t i;

    for (i = 0; i < m->bound_count; i++) {
        struct vic_text le = { 0 };

        count += s->buckets[i];
        vic_text_number(&le, m->bounds[i]);
        vic_text_char(&le, '\0');
        vic_metrics_line(text, m->name, "_bucket", s->labels, le.data, (double)count);
        vic_text_fini(&le);
    }
    vic_metrics_line(text, m->name, "_bucket", s->labels, "+Inf", (double)s->count);
    vic_metrics_line(text, m->name, "_sum", s->labels, NULL, s->value);
    vic_metrics_line(text, m->name, "_count", s->labels, NULL, (double)s->count);
}

void vic_metric_text(struct vic_text *text, const struct vic_metric *m)
{
    static const char *const KINDS[] = { "counter", "gauge", "histogram" };
    const struct vic_series *s;

    if (!m->series)
        return;
    vic_metrics_head(text, m->name, m->help, KINDS[m->kind]);
    for (s = m->series; s; s = s->next) {
        if (m->kind == VIC_HISTOGRAM)
            add_histogram(text, m, s);
        else
            vic_metrics_line(text, m->name, "", s->labels, NULL, s->value);
    }
}

void vic_metrics_dropped_text(struct vic_text *text, const struct vic_metric *first)
{
    static const char NAME[] = "vm_import_metrics_dropped_total";
    const struct vic_metric *m;
    bool head = false;

    for (m = first; m; m = m->next) {
        char labels[256];

        if (m->dropped == 0)
            continue;
        if (!head)
            vic_metrics_head(text, NAME,
                             "Changes to a metric that already had too many series.",
                             "counter");
        head = true;
        snprintf(labels, sizeof(labels), "metric=\"%s\"", m->name);
        vic_metrics_line(text, NAME, "", labels, NULL, (double)m->dropped);
    }
}
