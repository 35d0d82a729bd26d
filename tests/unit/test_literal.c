// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "model/literal.h"
#include "saccade/error.h"

// A literal as text of one form, so that a test is a line: i1 f2.5 'text' N T F [..] {k:v,..}

static size_t show_node(const struct sac__literal *literal, size_t at, char *out)
{
    const struct sac__node *node = literal->nodes + at;
    char *end = out + strlen(out);
    size_t child = at + 1;
    switch (node->kind) {
    case SAC__NONE:
        strcpy(end, "N");
        break;
    case SAC__BOOL:
        strcpy(end, node->integer ? "T" : "F");
        break;
    case SAC__INT:
        sprintf(end, "i%lld", (long long)node->integer);
        break;
    case SAC__FLOAT:
        sprintf(end, "f%.10g", node->real);
        break;
    case SAC__STRING:
        sprintf(end, "'%s'", node->text);
        break;
    case SAC__LIST:
    case SAC__DICT:
        strcpy(end, node->kind == SAC__LIST ? "[" : "{");
        for (size_t i = 0; i < node->count; i++) {
            if (i) strcat(out, ",");
            child = show_node(literal, child, out);
            if (node->kind == SAC__LIST) continue;
            strcat(out, ":");
            child = show_node(literal, child, out);
        }
        strcat(out, node->kind == SAC__LIST ? "]" : "}");
    }
    assert_int_equal(child, node->next);
    return node->next;
}

static void check(const char *source, const char *expected)
{
    struct sac__literal literal;
    char shown[1024] = "";
    int error = sac__literal_parse(&literal, source, strlen(source));
    if (error) fail_msg("%s: %s", source, sac_error_message());
    assert_int_equal(show_node(&literal, 0, shown), literal.count);
    assert_string_equal(shown, expected);
    sac__literal_free(&literal);
}

static void check_fails(const char *source, const char *message)
{
    struct sac__literal literal;
    assert_int_equal(sac__literal_parse(&literal, source, strlen(source)), SAC_EMODEL);
    assert_string_equal(sac_error_message(), message);
    sac__literal_free(&literal);
}

static void numbers(void **state)
{
    (void)state;
    check("0", "i0");
    check(" -42 ", "i-42");
    check("--5", "i5");
    check("+7", "i7");
    check("1_000_000", "i1000000");
    check("0xFf", "i255");
    check("0o17", "i15");
    check("0B101", "i5");
    check("9223372036854775807", "i9223372036854775807");
    check("32.0", "f32");
    check(".5", "f0.5");
    check("5.", "f5");
    check("-1.25e-3", "f-0.00125");
    check("1E5", "f100000");
    check("99999999999999999999.", "f1e+20");
}

static void words(void **state)
{
    (void)state;
    check("None", "N");
    check("True", "T");
    check("False", "F");
}

static void strings(void **state)
{
    (void)state;
    check("'person'", "'person'");
    check("\"it's\"", "'it's'");
    check("'say \"hi\"'", "'say \"hi\"'");
    check("'it\\'s'", "'it's'");
    check("''", "''");
    check("'a' \"b\"\n'c'", "'abc'");
    check("u'x' R'\\n\\'' ''", "'x\\n\\''");
    check("'''it's\ntwo'''", "'it's\ntwo'");
    check("\"\"\"a\"b\"\"\"", "'a\"b'");
    check("'caf\xc3\xa9 \xe7\x8c\xab \xf0\x9f\x90\x88'",
          "'caf\xc3\xa9 \xe7\x8c\xab \xf0\x9f\x90\x88'");
}

static void escapes(void **state)
{
    (void)state;
    check("'\\a\\b\\f\\n\\r\\t\\v\\\\'", "'\a\b\f\n\r\t\v\\'");
    check("'\\x41\\101\\u00e9\\U0001F408'", "'AA\xc3\xa9\xf0\x9f\x90\x88'");
    check("'\\7z\\1234'", "'\az"
                          "S4'");
    check("'a\\\nb'", "'ab'");
    check("'\\d\\w'", "'\\d\\w'");
    check("'\\0|\\x00|\\ud83d'", "'\xef\xbf\xbd|\xef\xbf\xbd|\xef\xbf\xbd'");
    check("'\\u07ff\\u0800\\uffff'", "'\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf'");
}

static void containers(void **state)
{
    (void)state;
    check("[]", "[]");
    check("{}", "{}");
    check("()", "[]");
    check("(1)", "i1");
    check("(1,)", "[i1]");
    check("((('a')))", "'a'");
    check("[(1), ([2, 3]), 4]", "[i1,[i2,i3],i4]");
    check("[1, 'a', None, [2.5, (3, 4)], ]", "[i1,'a',N,[f2.5,[i3,i4]]]");
    check("{0: 'person', 1: \"bi'cycle\",}", "{i0:'person',i1:'bi'cycle'}");
    check("{'a': {'b': [True]}, (1, 2): 3}", "{'a':{'b':[T]},[i1,i2]:i3}");
    check("\n{ 0 :\t'a' ,\r\n 1:'b' }\n", "{i0:'a',i1:'b'}");
    check("['a' 'b', 'c']", "['ab','c']");
}

static void errors_say_where(void **state)
{
    (void)state;
    check_fails("", "expected a value, but the text ends");
    check_fails("{0: 'a', 1 'b'}", "expected ':' at character 12");
    check_fails("{0: '\xc3\xa9\xc3\xa9', 1 'b'}", "expected ':' at character 13");
    check_fails("{1, 2}", "expected ':' at character 3");
    check_fails("[1 2]", "expected ',' or ']' at character 4");
    check_fails("{0: 'a'", "expected ',' or '}', but the text ends");
    check_fails("(1", "expected ',' or ')', but the text ends");
    check_fails("[,]", "expected a value at character 2");
    check_fails("[1,,2]", "expected a value at character 4");
    check_fails("'abc", "this string has no end: it starts at character 1");
    check_fails("'abc\\", "this string has no end: it starts at character 1");
    check_fails("'ab\nc'", "a line ends in a string at character 4");
    check_fails("'\\xg0'", "expected a hexadecimal digit at character 4");
    check_fails("'\\U00110000'", "no such character at character 2");
    check_fails("'\\N{DASH}'", "characters by name (\\N) are not read at character 2");
    check_fails("b'bytes'", "expected a value at character 1");
    check_fails("nan", "expected a value at character 1");
    check_fails("Nonesuch", "expected a value at character 1");
    check_fails("true", "expected a value at character 1");
    check_fails("1 # one", "expected the end at character 3");
    check_fails("1__0", "expected the end at character 2");
    check_fails("-", "expected a digit, but the text ends");
    check_fails(".", "expected a digit, but the text ends");
    check_fails("0x", "expected a digit, but the text ends");
    check_fails("[9223372036854775808]", "this number is too large: it stands at character 2");
    check_fails("'\xff'", "not UTF-8 at character 2");
    check_fails("'\xc0\x80'", "not UTF-8 at character 2");
    check_fails("'\xed\xa0\x80'", "not UTF-8 at character 2");
    check_fails("'\xf4\x90\x80\x80'", "not UTF-8 at character 2");
}

static void nesting_is_limited(void **state)
{
    (void)state;
    char deep[80] = "", shallow[80] = "";
    for (int i = 0; i < 33; i++) {
        strcat(deep, "[");
        if (i < 32) strcat(shallow, "[");
    }
    for (int i = 0; i < 32; i++)
        strcat(shallow, "]");
    check_fails(deep, "nested too deeply at character 33");
    check(shallow, shallow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(words),
        cmocka_unit_test(strings),
        cmocka_unit_test(escapes),
        cmocka_unit_test(containers),
        cmocka_unit_test(errors_say_where),
        cmocka_unit_test(nesting_is_limited),
    };
    return cmocka_run_group_tests_name("literal", tests, NULL, NULL);
}
