/*
 * host.time: clocks, and RFC 3339. Times are seconds since 1970 in UTC.
 */
#include "clock.h"
#include "fail.h"
#include "host.h"
#include "text.h"
#include "value.h"

#include <lauxlib.h>

#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#define FIRST_SECOND (-62167219200LL) /* 0000-01-01T00:00:00Z */
#define LAST_SECOND  253402300799LL   /* 9999-12-31T23:59:59Z */
#define LONGEST_TIME 64

static int push_clock(lua_State *L, clockid_t clock)
{
    lua_pushnumber(L, vic_clock(clock));
    return 1;
}

/*
 * time.now() -> seconds
 * The time of day, as a float.
 */
static int l_time_now(lua_State *L)
{
    return push_clock(L, CLOCK_REALTIME);
}

/*
 * time.monotonic() -> seconds
 * Never set, never back; stands still while the machine sleeps. For durations.
 */
static int l_time_monotonic(lua_State *L)
{
    return push_clock(L, CLOCK_MONOTONIC);
}

/*
 * time.boottime() -> seconds
 * As monotonic, and goes on while the machine sleeps. For deadlines that others keep.
 */
static int l_time_boottime(lua_State *L)
{
    return push_clock(L, CLOCK_BOOTTIME);
}

/* The optional argument 1 as a time of whole microseconds, else now. */
static struct timespec check_time(lua_State *L)
{
    struct timespec when;
    lua_Number seconds;
    lua_Number whole;
    long micros;

    if (lua_isnoneornil(L, 1)) {
        clock_gettime(CLOCK_REALTIME, &when);
        return when;
    }
    seconds = luaL_checknumber(L, 1);
    luaL_argcheck(L, seconds >= FIRST_SECOND && seconds <= LAST_SECOND, 1,
                  "not within the years 0 to 9999");
    whole = floor(seconds);
    micros = lround((seconds - whole) * 1e6);
    when.tv_sec = (time_t)whole + micros / 1000000;
    when.tv_nsec = micros % 1000000 * 1000;
    return when;
}

static int push_rfc3339(lua_State *L, int digits)
{
    struct timespec when = check_time(L);
    struct vic_text *text = vic_value_text(L);

    vic_text_time(text, &when, digits);
    lua_pushlstring(L, text->data, text->size);
    return 1;
}

/*
 * time.rfc3339(seconds) -> text
 *
 *   seconds  number  within the years 0 to 9999      (default now)
 *   text     string  "2026-01-02T03:04:05Z"; fractions are cut off
 */
static int l_time_rfc3339(lua_State *L)
{
    return push_rfc3339(L, 0);
}

/*
 * time.rfc3339_micro(seconds) -> text
 * As rfc3339, with six digits: "2026-01-02T03:04:05.000006Z". Leases and events of
 * Kubernetes demand this form.
 */
static int l_time_rfc3339_micro(lua_State *L)
{
    return push_rfc3339(L, 6);
}

/* Reads `n` digits into *out; moves past them. */
static bool take_digits(const char **s, int n, int *out)
{
    *out = 0;
    for (; n > 0; n--, ++*s) {
        if (**s < '0' || **s > '9')
            return false;
        *out = 10 * *out + (**s - '0');
    }
    return true;
}

static bool take_one_of(const char **s, const char *chars)
{
    if (!**s || !strchr(chars, **s))
        return false;
    ++*s;
    return true;
}

static int days_in(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month == 2 && leap ? 29 : days[month - 1];
}

/* "2026-01-02T03:04:05" */
static bool take_date_time(const char **s, struct tm *tm)
{
    memset(tm, 0, sizeof(*tm));
    if (!take_digits(s, 4, &tm->tm_year) || !take_one_of(s, "-") ||
        !take_digits(s, 2, &tm->tm_mon) || !take_one_of(s, "-") ||
        !take_digits(s, 2, &tm->tm_mday) || !take_one_of(s, "Tt") ||
        !take_digits(s, 2, &tm->tm_hour) || !take_one_of(s, ":") ||
        !take_digits(s, 2, &tm->tm_min) || !take_one_of(s, ":") ||
        !take_digits(s, 2, &tm->tm_sec))
        return false;
    if (tm->tm_mon < 1 || tm->tm_mon > 12 || tm->tm_mday < 1 ||
        tm->tm_mday > days_in(tm->tm_year, tm->tm_mon) || tm->tm_hour > 23 ||
        tm->tm_min > 59 || tm->tm_sec > 60)
        return false;
    tm->tm_year -= 1900;
    tm->tm_mon -= 1;
    return true;
}

/* ".25", or nothing. */
static bool take_fraction(const char **s, double *fraction)
{
    double scale = 0.1;
    int digit;

    *fraction = 0;
    if (!take_one_of(s, "."))
        return true;
    if (**s < '0' || **s > '9')
        return false;
    for (; take_digits(s, 1, &digit); scale /= 10)
        *fraction += digit * scale;
    return true;
}

/* "Z" or "+01:30", in seconds east of Greenwich. */
static bool take_offset(const char **s, int *offset)
{
    int sign = **s == '-' ? -1 : 1;
    int hours;
    int minutes;

    *offset = 0;
    if (take_one_of(s, "Zz"))
        return true;
    if (!take_one_of(s, "+-") || !take_digits(s, 2, &hours) || !take_one_of(s, ":") ||
        !take_digits(s, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *offset = sign * (3600 * hours + 60 * minutes);
    return true;
}

/*
 * time.parse(text) -> seconds | nil, err
 *
 *   text     string  RFC 3339, with any fraction and offset
 *   seconds  number  an integer unless there is a fraction
 *   err      format  it is not
 */
static int l_time_parse(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    const char *s = text;
    struct tm tm;
    double fraction;
    int offset;
    long long seconds;

    if (len > LONGEST_TIME || !take_date_time(&s, &tm) || !take_fraction(&s, &fraction) ||
        !take_offset(&s, &offset) || s != text + len)
        return vic_fail(L, "format", "\"%.64s\" is not a time by RFC 3339", text);
    seconds = (long long)timegm(&tm) - offset;
    if (fraction > 0)
        lua_pushnumber(L, (lua_Number)seconds + fraction);
    else
        lua_pushinteger(L, seconds);
    return 1;
}

int vic_open_time(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "now", l_time_now },
        { "monotonic", l_time_monotonic },
        { "boottime", l_time_boottime },
        { "rfc3339", l_time_rfc3339 },
        { "rfc3339_micro", l_time_rfc3339_micro },
        { "parse", l_time_parse },
        { NULL, NULL },
    };

    luaL_newlib(L, functions);
    return 1;
}
