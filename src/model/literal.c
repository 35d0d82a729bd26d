// SPDX-License-Identifier: Apache-2.0
// The grammar is that of Python's language reference, sections 2.4 (literals) and 6.2 (displays).
#include "literal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "utf8.h"

enum { DEPTH_MAX = 32 };

struct parser {
    const uint8_t *source;
    size_t size, at;
    char *text; ///< end of the text written so far
    int depth;
    struct sac__literal *out;
};

static int parse_value(struct parser *p);

/// Number of the character at byte `at`, from 1.
static size_t position(const struct parser *p, size_t at)
{
    size_t characters = 1;
    for (size_t i = 0; i < at; i++)
        characters += (p->source[i] & 0xc0) != 0x80;
    return characters;
}

static int fail_at(const struct parser *p, size_t at, const char *problem)
{
    if (at >= p->size) return sac__fail(SAC_EMODEL, "%s, but the text ends", problem);
    return sac__fail(SAC_EMODEL, "%s at character %zu", problem, position(p, at));
}

static int peek(const struct parser *p)
{
    return p->at < p->size ? p->source[p->at] : -1;
}

/// The next character that is no white space; -1 at the end.
static int peek_token(struct parser *p)
{
    while (p->at < p->size && memchr(" \t\r\n\f", p->source[p->at], 5))
        p->at++;
    return peek(p);
}

static int starts_with(const struct parser *p, const char *word)
{
    size_t length = strlen(word);
    return p->size - p->at >= length && memcmp(p->source + p->at, word, length) == 0;
}

/// Appends a node; its index through index_out (a pointer would not survive the next node).
static int add_node(struct parser *p, enum sac__literal_kind kind, size_t *index_out)
{
    struct sac__literal *out = p->out;
    if (out->count == out->capacity) {
        size_t capacity = out->capacity ? 2 * out->capacity : 64;
        struct sac__node *nodes = realloc(out->nodes, capacity * sizeof *nodes);
        if (!nodes) return sac__fail(SAC_ENOMEM, "out of memory");
        out->nodes = nodes;
        out->capacity = capacity;
    }
    *index_out = out->count++;
    out->nodes[*index_out] = (struct sac__node){.kind = kind, .next = out->count};
    return SAC_OK;
}

// Strings

static int hex_digit(int c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void put_code(struct parser *p, uint32_t code)
{
    int unusable = code == 0 || (code >= 0xd800 && code <= 0xdfff);
    p->text += sac__utf8_write(p->text, unusable ? 0xfffd : code);
}

/// \x41 \u0041 \U00000041: exactly `digits` digits, which start at p->at.
static int parse_hex_escape(struct parser *p, int digits)
{
    uint32_t code = 0;
    size_t start = p->at - 2;
    for (int i = 0; i < digits; i++, p->at++) {
        int digit = hex_digit(peek(p));
        if (digit < 0) return fail_at(p, p->at, "expected a hexadecimal digit");
        code = code * 16 + (uint32_t)digit;
    }
    if (code > 0x10ffff) return fail_at(p, start, "no such character");
    put_code(p, code);
    return SAC_OK;
}

static void parse_octal_escape(struct parser *p, uint32_t code)
{
    for (int i = 0; i < 2 && peek(p) >= '0' && peek(p) <= '7'; i++, p->at++)
        code = code * 8 + (uint32_t)(peek(p) - '0');
    put_code(p, code);
}

/// p->at is behind the backslash.
static int parse_escape(struct parser *p)
{
    static const char letters[] = "\\'\"abfnrtv", meanings[] = "\\'\"\a\b\f\n\r\t\v";
    if (p->at >= p->size) return fail_at(p, p->at, "expected the end of the string");
    int c = p->source[p->at++];
    const char *letter = c ? strchr(letters, c) : NULL;
    if (letter) {
        *p->text++ = meanings[letter - letters];
    } else if (c >= '0' && c <= '7') {
        parse_octal_escape(p, (uint32_t)(c - '0'));
    } else if (c == 'x' || c == 'u' || c == 'U') {
        return parse_hex_escape(p, c == 'x' ? 2 : c == 'u' ? 4 : 8);
    } else if (c == 'N') {
        return fail_at(p, p->at - 2, "characters by name (\\N) are not read");
    } else if (c != '\n') { // an unknown escape means itself; a line's end means nothing
        *p->text++ = '\\';
        p->at--;
    }
    return SAC_OK;
}

static int parse_character(struct parser *p)
{
    size_t length = sac__utf8_length(p->source + p->at, p->size - p->at);
    if (!length) return fail_at(p, p->at, "not UTF-8");
    if (p->source[p->at]) {
        memcpy(p->text, p->source + p->at, length);
        p->text += length;
    } else {
        put_code(p, 0);
    }
    p->at += length;
    return SAC_OK;
}

/// One quoted string; p->at is at its quote. Appends to p->text.
static int parse_quoted(struct parser *p, int raw)
{
    char quote[4] = {(char)p->source[p->at], 0, 0, 0};
    char three[4] = {quote[0], quote[0], quote[0], 0};
    size_t start = p->at;
    if (starts_with(p, three)) memcpy(quote, three, sizeof quote);
    p->at += strlen(quote);
    while (!starts_with(p, quote)) {
        if (p->at >= p->size) return fail_at(p, start, "this string has no end: it starts");
        if (peek(p) == '\n' && !quote[1]) return fail_at(p, p->at, "a line ends in a string");
        int escaped = peek(p) == '\\' && p->at + 1 < p->size;
        int error = SAC_OK;
        if (escaped && !raw) {
            p->at++;
            error = parse_escape(p);
        } else {
            error = parse_character(p);
            if (!error && escaped) error = parse_character(p); // r'\'' holds a backslash, a quote
        }
        if (error) return error;
    }
    p->at += strlen(quote);
    return SAC_OK;
}

/// Nonzero at a string; `raw_out` and p->at then say whether it is a raw one, and where its quote
/// is.
static int at_string(struct parser *p, int *raw_out)
{
    int c = peek_token(p);
    int prefixed = c > 0 && strchr("rRuU", c) && p->at + 1 < p->size &&
                   (p->source[p->at + 1] == '\'' || p->source[p->at + 1] == '"');
    *raw_out = prefixed && (c == 'r' || c == 'R');
    p->at += (size_t)prefixed;
    return prefixed || c == '\'' || c == '"';
}

static int parse_string(struct parser *p, int raw)
{
    size_t node = 0;
    int error = add_node(p, SAC__STRING, &node);
    if (error) return error;
    p->out->nodes[node].text = p->text;
    do {
        error = parse_quoted(p, raw);
        if (error) return error;
    } while (at_string(p, &raw)); // adjacent strings are one
    *p->text++ = '\0';
    return SAC_OK;
}

// Numbers

static int digit_in(int c, int base)
{
    int digit = hex_digit(c);
    return digit >= 0 && digit < base ? digit : -1;
}

/// Digits with single underscores between them, into a real and, as long as it fits, an integer.
/// Returns how many digits there were.
static int parse_digits(struct parser *p, int base, double *real, int64_t *integer, int *overflow)
{
    int count = 0;
    for (;; p->at++) {
        int c = peek(p), digit = digit_in(c, base);
        int more = p->at + 1 < p->size ? digit_in(p->source[p->at + 1], base) : -1;
        if (c == '_' && count && more >= 0) continue;
        if (digit < 0) return count;
        *real = *real * base + digit;
        *overflow |= *integer > (INT64_MAX - digit) / base;
        if (!*overflow) *integer = *integer * base + digit;
        count++;
    }
}

/// What follows an integer's digits: ".5", "e-3". Changes *real; nonzero when there was any.
static int parse_fraction(struct parser *p, double *real, int *digits)
{
    int64_t ignored = 0;
    int overflow = 0, found = 0;
    if (peek(p) == '.') {
        double fraction = 0;
        p->at++;
        int count = parse_digits(p, 10, &fraction, &ignored, &overflow);
        *real += fraction * pow(10, -count);
        *digits += count;
        found = 1;
    }
    size_t mark = p->at;
    if (*digits && (peek(p) | 0x20) == 'e') {
        p->at++;
        int negative = peek(p) == '-';
        if (peek(p) == '-' || peek(p) == '+') p->at++;
        double exponent = 0;
        if (parse_digits(p, 10, &exponent, &ignored, &overflow)) {
            *real *= pow(10, negative ? -exponent : exponent);
            return 1;
        }
        p->at = mark;
    }
    return found;
}

static int number_base(struct parser *p)
{
    int c = p->at + 1 < p->size ? p->source[p->at + 1] | 0x20 : 0;
    int base = peek(p) != '0' ? 10 : c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 10;
    if (base != 10) p->at += 2;
    return base;
}

static int parse_number(struct parser *p)
{
    size_t start = p->at;
    int negative = 0, overflow = 0;
    for (; peek(p) == '-' || peek(p) == '+'; p->at++)
        negative ^= peek(p) == '-';
    int base = number_base(p);
    double real = 0;
    int64_t integer = 0;
    int digits = parse_digits(p, base, &real, &integer, &overflow);
    int is_float = base == 10 && parse_fraction(p, &real, &digits);
    if (!digits) return fail_at(p, p->at, "expected a digit");
    if (overflow && !is_float) return fail_at(p, start, "this number is too large: it stands");
    size_t node = 0;
    int error = add_node(p, is_float ? SAC__FLOAT : SAC__INT, &node);
    if (error) return error;
    p->out->nodes[node].integer = is_float ? 0 : negative ? -integer : integer;
    p->out->nodes[node].real = negative ? -real : real;
    return SAC_OK;
}

// Words and containers

static int is_word(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static int parse_word(struct parser *p)
{
    static const struct {
        const char *text;
        enum sac__literal_kind kind;
        int value;
    } words[] = {{"None", SAC__NONE, 0}, {"True", SAC__BOOL, 1}, {"False", SAC__BOOL, 0}};
    size_t start = p->at, node = 0;
    while (is_word(peek(p)))
        p->at++;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t length = strlen(words[i].text);
        if (length != p->at - start || memcmp(words[i].text, p->source + start, length)) continue;
        int error = add_node(p, words[i].kind, &node);
        if (!error) p->out->nodes[node].integer = words[i].value;
        return error;
    }
    return fail_at(p, start, "expected a value");
}

/// (1) is 1, not a tuple: takes the container at `node` away from around its only element.
static void unwrap(struct sac__literal *out, size_t node)
{
    out->count--;
    memmove(out->nodes + node, out->nodes + node + 1, (out->count - node) * sizeof *out->nodes);
    for (size_t i = node; i < out->count; i++)
        out->nodes[i].next--;
}

static int parse_pair(struct parser *p)
{
    int error = parse_value(p);
    if (error) return error;
    if (peek_token(p) != ':') return fail_at(p, p->at, "expected ':'");
    p->at++;
    return parse_value(p);
}

/// The elements behind an opening bracket, up to and with `close`.
static int parse_elements(struct parser *p, size_t node, char close)
{
    const char wanted[] = {'e', 'x',  'p', 'e', 'c', 't', 'e',  'd',   ' ',  '\'',
                           ',', '\'', ' ', 'o', 'r', ' ', '\'', close, '\'', '\0'};
    int comma = 1;
    while (peek_token(p) != close) {
        if (!comma) return fail_at(p, p->at, wanted);
        int error = close == '}' ? parse_pair(p) : parse_value(p);
        if (error) return error;
        p->out->nodes[node].count++;
        comma = peek_token(p) == ',';
        p->at += (size_t)comma;
    }
    p->at++;
    p->out->nodes[node].next = p->out->count;
    if (close == ')' && p->out->nodes[node].count == 1 && !comma) unwrap(p->out, node);
    return SAC_OK;
}

static int parse_container(struct parser *p, char close)
{
    size_t node = 0;
    if (p->depth == DEPTH_MAX) return fail_at(p, p->at, "nested too deeply");
    int error = add_node(p, close == '}' ? SAC__DICT : SAC__LIST, &node);
    if (error) return error;
    p->at++;
    p->depth++;
    error = parse_elements(p, node, close);
    p->depth--;
    return error;
}

static int parse_value(struct parser *p)
{
    int raw, c = peek_token(p);
    if (at_string(p, &raw)) return parse_string(p, raw);
    if (c == '{') return parse_container(p, '}');
    if (c == '[') return parse_container(p, ']');
    if (c == '(') return parse_container(p, ')');
    if (c == '-' || c == '+' || c == '.' || (c >= '0' && c <= '9')) return parse_number(p);
    return parse_word(p);
}

int sac__literal_parse(struct sac__literal *literal_out, const char *source, size_t size)
{
    *literal_out = (struct sac__literal){0};
    // The longest that a character of the source can become is three bytes: NUL → U+FFFD.
    literal_out->text = size < SIZE_MAX / 4 ? malloc(3 * size + 1) : NULL;
    if (!literal_out->text) return sac__fail(SAC_ENOMEM, "out of memory");
    struct parser p = {.source = (const uint8_t *)source,
                       .size = size,
                       .text = literal_out->text,
                       .out = literal_out};
    int error = parse_value(&p);
    if (error) return error;
    if (peek_token(&p) != -1) return fail_at(&p, p.at, "expected the end");
    return SAC_OK;
}

void sac__literal_free(struct sac__literal *literal)
{
    free(literal->nodes);
    free(literal->text);
    *literal = (struct sac__literal){0};
}
