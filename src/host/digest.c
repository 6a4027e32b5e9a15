/*
 * host.digest: checksums, random names and base64 of strings. Disks are digested on
 * their way, by disk/digest, and never come here.
 */
#include "fail.h"
#include "host.h"

#include <lauxlib.h>
#include <openssl/evp.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define MOST_RANDOM 1024

/* Pushes bytes as lower-case hex digits. */
static void push_hex(lua_State *L, const unsigned char *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    luaL_Buffer out;
    size_t i;

    luaL_buffinit(L, &out);
    for (i = 0; i < n; i++) {
        luaL_addchar(&out, digits[bytes[i] >> 4]);
        luaL_addchar(&out, digits[bytes[i] & 15]);
    }
    luaL_pushresult(&out);
}

static int push_digest(lua_State *L, const EVP_MD *method)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned size;

    if (!EVP_Digest(text, len, sum, &size, method, NULL))
        return luaL_error(L, "OpenSSL refuses this digest");
    push_hex(L, sum, size);
    return 1;
}

/*
 * digest.sha256(text) -> hex
 * 64 lower-case hex digits; at once, so for short strings. Source: FIPS 180-4.
 */
static int l_digest_sha256(lua_State *L)
{
    return push_digest(L, EVP_sha256());
}

/*
 * digest.sha512(text) -> hex
 * 128 digits, as sha256.
 */
static int l_digest_sha512(lua_State *L)
{
    return push_digest(L, EVP_sha512());
}

/*
 * digest.sha1(text) -> hex
 * 40 digits, as sha256. Only where a format demands it.
 */
static int l_digest_sha1(lua_State *L)
{
    return push_digest(L, EVP_sha1());
}

/* Fills the buffer from the kernel. Throws if there is no randomness to be had. */
static void fill_random(lua_State *L, unsigned char *bytes, size_t n)
{
    size_t done = 0;

    while (done < n) {
        ssize_t got = getrandom(bytes + done, n - done, 0);

        if (got > 0)
            done += (size_t)got;
        else if (errno != EINTR)
            luaL_error(L, "getrandom: %s", strerror(errno));
    }
}

/*
 * digest.random(n) -> hex
 *
 *   n    integer  bytes, 1 to 1024
 *   hex  string   2 n lower-case hex digits that nobody can guess
 */
static int l_digest_random(lua_State *L)
{
    lua_Integer n = luaL_checkinteger(L, 1);
    unsigned char bytes[MOST_RANDOM];

    luaL_argcheck(L, n >= 1 && n <= MOST_RANDOM, 1, "not within 1 to 1024");
    fill_random(L, bytes, (size_t)n);
    push_hex(L, bytes, (size_t)n);
    return 1;
}

/*
 * digest.uuid() -> text
 * A random one: "1b4e28ba-2fa1-4d2c-883f-0016d3cca427". Source: RFC 9562, version 4.
 */
static int l_digest_uuid(lua_State *L)
{
    unsigned char b[16];
    char text[40];

    fill_random(L, b, sizeof(b));
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    snprintf(text, sizeof(text),
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
             b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
             b[13], b[14], b[15]);
    lua_pushstring(L, text);
    return 1;
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Adds what four characters stand for; false if they are no base64. `*last`: they
 * were padded, so nothing may follow. */
static bool add_group(luaL_Buffer *out, const char group[4], bool *last)
{
    int padding = (group[3] == '=') + (group[3] == '=' && group[2] == '=');
    unsigned long bits = 0;
    int i;

    for (i = 0; i < 4; i++) {
        int value = i < 4 - padding ? base64_value(group[i]) : 0;

        if (value < 0)
            return false;
        bits = bits << 6 | (unsigned long)value;
    }
    if (*last || (bits & ((1UL << (8 * padding)) - 1)))
        return false;
    for (i = 0; i < 3 - padding; i++)
        luaL_addchar(out, (char)(bits >> (16 - 8 * i) & 0xff));
    *last = padding > 0;
    return true;
}

/*
 * digest.base64_decode(text) -> bytes | nil, err
 *
 *   text   string  padded; line breaks in it are skipped
 *   bytes  string
 *   err    format  anything else
 *
 * Source: RFC 4648, section 4; line breaks as Kubernetes takes them in a Secret.
 */
static int l_digest_base64_decode(lua_State *L)
{
    size_t len;
    const char *s = luaL_checklstring(L, 1, &len);
    const char *end = s + len;
    char group[4];
    size_t n = 0;
    bool last = false;
    luaL_Buffer out;

    luaL_buffinit(L, &out);
    for (; s < end; s++) {
        if (*s == '\n' || *s == '\r')
            continue;
        group[n++] = *s;
        if (n < 4)
            continue;
        if (!add_group(&out, group, &last))
            break;
        n = 0;
    }
    if (n > 0)
        return vic_fail(L, "format", "not base64");
    luaL_pushresult(&out);
    return 1;
}

/*
 * digest.base64_encode(bytes) -> text
 * Padded, in one line. Source: RFC 4648, section 4.
 */
static int l_digest_base64_encode(lua_State *L)
{
    size_t len;
    const char *bytes = luaL_checklstring(L, 1, &len);
    luaL_Buffer out;
    char *to;

    luaL_argcheck(L, len <= 1 << 30, 1, "too long");
    to = luaL_buffinitsize(L, &out, 4 * ((len + 2) / 3) + 1);
    EVP_EncodeBlock((unsigned char *)to, (const unsigned char *)bytes, (int)len);
    luaL_pushresultsize(&out, 4 * ((len + 2) / 3));
    return 1;
}

int vic_open_digest(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "sha1", l_digest_sha1 },
        { "sha256", l_digest_sha256 },
        { "sha512", l_digest_sha512 },
        { "random", l_digest_random },
        { "uuid", l_digest_uuid },
        { "base64_decode", l_digest_base64_decode },
        { "base64_encode", l_digest_base64_encode },
        { NULL, NULL },
    };

    luaL_newlib(L, functions);
    return 1;
}
