/* SPDX-License-Identifier: MIT */
/* test_tools_xl_command.c: command lines of xl, read as xl reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "xl_command.h"

static char line[4096];

/* Parses the words of @words as a process's command line. */
static struct hcl_xl_command command(const char *words)
{
    struct hcl_xl_command got;
    size_t i, bytes = strlen(words) + 1;

    assert_true(bytes <= sizeof(line));
    memcpy(line, words, bytes);
    for (i = 0; i < bytes; i++) {
        if (line[i] == ' ') {
            line[i] = '\0';
        }
    }
    hcl_xl_command_parse(line, bytes, &got);
    return got;
}

static void creates(const char *words, const char *config, const char *extra)
{
    struct hcl_xl_command got = command(words);

    if (got.verb != HCL_XL_CREATE) {
        fail_msg("'%s' creates nothing", words);
    }
    assert_string_equal(got.config, config);
    if (extra) {
        assert_non_null(got.extra);
        assert_string_equal(got.extra, extra);
    } else {
        assert_null(got.extra);
    }
    hcl_xl_command_clear(&got);
}

static void makes_nothing(const char *words)
{
    struct hcl_xl_command got = command(words);

    if (got.verb != HCL_XL_OTHER) {
        fail_msg("'%s' makes a domain", words);
    }
    assert_null(got.config);
    assert_null(got.extra);
}

static void the_configuration_stands_first(void **state)
{
    (void)state;
    creates("xl create /etc/xen/u.cfg", "/etc/xen/u.cfg", NULL);
    creates("/usr/lib/xen-4.17/bin/xl create u.cfg", "u.cfg", NULL);
    creates("xl create u.cfg -p -q", "u.cfg", NULL);
}

static void the_configuration_stands_after_options(void **state)
{
    (void)state;
    creates("xl create -pq u.cfg", "u.cfg", NULL);
    creates("xl create -c -d -e -F -V -A -i u.cfg", "u.cfg", NULL);
    creates("xl create --quiet --vncviewer u.cfg", "u.cfg", NULL);
    creates("xl create -p -- u.cfg", "u.cfg", NULL);
}

static void the_configuration_is_an_options_value(void **state)
{
    (void)state;
    creates("xl create -f u.cfg", "u.cfg", NULL);
    creates("xl create -fu.cfg", "u.cfg", NULL);
    creates("xl create -pf u.cfg -q", "u.cfg", NULL);
    creates("xl create --defconfig=u.cfg", "u.cfg", NULL);
    creates("xl create --defconfig u.cfg", "u.cfg", NULL);
    creates("xl create --defc u.cfg", "u.cfg", NULL);
    creates("xl create v.cfg -f u.cfg", "u.cfg", NULL);
}

static void trailing_assignments_become_lines(void **state)
{
    (void)state;
    creates("xl create u.cfg name='x' hcl=['device=a']", "u.cfg",
            "name='x'\nhcl=['device=a']\n");
    creates("xl create u.cfg -p memory=1 -q vcpus=2", "u.cfg",
            "memory=1\nvcpus=2\n");
    creates("xl create name='x' u.cfg", "u.cfg", "name='x'\n");
    creates("xl create name='x' -f u.cfg", "u.cfg", "name='x'\n");
    creates("xl create /dev/null name='x'", "/dev/null", "name='x'\n");
}

static void global_options_stand_before_the_command(void **state)
{
    (void)state;
    creates("xl -vvv -f create u.cfg", "u.cfg", NULL);
    creates("xl -t -T create u.cfg", "u.cfg", NULL);
}

static void a_command_may_be_abbreviated(void **state)
{
    (void)state;
    creates("xl cr u.cfg", "u.cfg", NULL);
    creates("xl crea u.cfg", "u.cfg", NULL);
    makes_nothing("xl c u.cfg");
    makes_nothing("xl createx u.cfg");
}

static void an_option_of_a_newer_xl_does_not_matter(void **state)
{
    (void)state;
    creates("xl create -Z u.cfg", "u.cfg", NULL);
    creates("xl create --unheard-of u.cfg", "u.cfg", NULL);
}

static void dry_runs_and_help_make_nothing(void **state)
{
    (void)state;
    makes_nothing("xl create -n u.cfg");
    makes_nothing("xl create --dryrun u.cfg");
    makes_nothing("xl -N create u.cfg");
    makes_nothing("xl create -h u.cfg");
    makes_nothing("xl create --help");
}

static void what_xl_refuses_makes_nothing(void **state)
{
    (void)state;
    makes_nothing("xl create");
    makes_nothing("xl create -p");
    makes_nothing("xl create name='x'");
    makes_nothing("xl create u.cfg v.cfg");
}

static void other_commands_make_nothing(void **state)
{
    (void)state;
    makes_nothing("xl");
    makes_nothing("xl list");
    makes_nothing("xl destroy create");
    makes_nothing("xl save create u.cfg");
    makes_nothing("xl reboot u.cfg");
    makes_nothing("xl resume u.cfg");
}

static void restore_may_have_a_configuration(void **state)
{
    struct hcl_xl_command got = command("xl restore -p -e u.save");

    (void)state;
    assert_int_equal(got.verb, HCL_XL_RESTORE);
    assert_null(got.config);
    hcl_xl_command_clear(&got);
    got = command("xl restore -c u.cfg u.save");
    assert_int_equal(got.verb, HCL_XL_RESTORE);
    assert_string_equal(got.config, "u.cfg");
    hcl_xl_command_clear(&got);
    makes_nothing("xl restore");
    makes_nothing("xl restore a b c");
    makes_nothing("xl restore -h a");
}

static void a_line_that_is_no_command_line_makes_nothing(void **state)
{
    struct hcl_xl_command got;
    char open_end[] = "xl\0create\0u.cfg";
    char many[4000];

    (void)state;
    hcl_xl_command_parse(open_end, 0, &got);
    assert_int_equal(got.verb, HCL_XL_OTHER);
    hcl_xl_command_parse(open_end, sizeof(open_end) - 1, &got);
    assert_int_equal(got.verb, HCL_XL_OTHER);
    memset(many, 0, sizeof(many));
    hcl_xl_command_parse(many, sizeof(many), &got);
    assert_int_equal(got.verb, HCL_XL_OTHER);
}

/* ---- The configuration as xl parses it --------------------------------- */

static void assignments_are_lines_after_the_file(void **state)
{
    size_t bytes;
    char *text = hcl_xl_command_join("a=1", 3, "b=2\nc=3\n", &bytes);

    (void)state;
    assert_string_equal(text, "a=1\nb=2\nc=3\n\n");
    assert_int_equal(bytes, strlen(text));
    free(text);
}

static void without_assignments_the_file_stays_as_it_is(void **state)
{
    size_t bytes;
    char *text = hcl_xl_command_join("a=1", 3, NULL, &bytes);

    (void)state;
    assert_string_equal(text, "a=1");
    assert_int_equal(bytes, 3);
    free(text);
    text = hcl_xl_command_join("", 0, "", &bytes);
    assert_int_equal(bytes, 0);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_configuration_stands_first),
        cmocka_unit_test(the_configuration_stands_after_options),
        cmocka_unit_test(the_configuration_is_an_options_value),
        cmocka_unit_test(trailing_assignments_become_lines),
        cmocka_unit_test(global_options_stand_before_the_command),
        cmocka_unit_test(a_command_may_be_abbreviated),
        cmocka_unit_test(an_option_of_a_newer_xl_does_not_matter),
        cmocka_unit_test(dry_runs_and_help_make_nothing),
        cmocka_unit_test(what_xl_refuses_makes_nothing),
        cmocka_unit_test(other_commands_make_nothing),
        cmocka_unit_test(restore_may_have_a_configuration),
        cmocka_unit_test(a_line_that_is_no_command_line_makes_nothing),
        cmocka_unit_test(assignments_are_lines_after_the_file),
        cmocka_unit_test(without_assignments_the_file_stays_as_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
