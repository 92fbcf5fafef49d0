/* SPDX-License-Identifier: MIT */
/* hclcat, as a function of this process. */
#include "test_frontend_backend.h"

static int wake_fds[2]; /* its pipe for signals, which it never closes */

static int make_pipe(int *fds, int flags)
{
    int ret = pipe2(fds, flags);

    memcpy(wake_fds, fds, sizeof(wake_fds));
    return ret;
}

/* What both have. */
#define main hclcat_main
#define now_ms hclcat_now_ms
#define pipe2 make_pipe
#include "hclcat.c" /* NOLINT(bugprone-suspicious-include) */
#undef pipe2
#undef main
#undef now_ms

static int saved_fds[3], in_fd, out_fd;

/* Standard input and output are pipes, their other ends in_fd and out_fd. */
static int catch_all(void **state)
{
    int in[2], out[2], i, ret = setup(state);

    fflush(NULL);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
    for (i = 0; i < 3; i++) {
        saved_fds[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
    }
    dup2(in[0], 0);
    dup2(out[1], 1);
    dup2(out[1], 2);
    close(in[0]);
    close(out[1]);
    in_fd = in[1];
    out_fd = out[0];
    wake_fds[0] = -1;
    wake_fds[1] = -1;
    optind = 0;
    return ret;
}

static int let_go(void **state)
{
    int i;

    fflush(NULL);
    for (i = 0; i < 3; i++) {
        if (saved_fds[i] >= 0) {
            dup2(saved_fds[i], i);
            close(saved_fds[i]);
        }
    }
    close(in_fd);
    close(out_fd);
    return teardown(state);
}

#define ARGC(argv) ((int)(sizeof(argv) / sizeof(*(argv))) - 1)

/* Runs it; @text gets all that it wrote. */
static int cat(char **argv, int argc, char *text, size_t size)
{
    int status = hclcat_main(argc, argv);
    ssize_t got;

    fflush(stdout);
    got = read(out_fd, text, size - 1);
    text[got > 0 ? got : 0] = '\0';
    close(wake_fds[0]);
    close(wake_fds[1]);
    return status;
}

/* ---- Meanwhile --------------------------------------------------------- */

static void (*meanwhile)(void);

static void after_a_while(void (*fn)(void));

/* Not before it is connected, which may take long under valgrind. */
static void on_alarm(int number)
{
    (void)number;
    if (front_state() == 4 || backend.state == 1) {
        meanwhile();
    } else {
        after_a_while(meanwhile);
    }
}

/* While it waits, which is all that it does by then. */
static void after_a_while(void (*fn)(void))
{
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval timer = {.it_value = {.tv_usec = 100000}};

    meanwhile = fn;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

static void refuse(void)
{
    backend.passive = true;
    backend_unmap();
    node_remove(back("incarnation"));
    node_set(back("error"), "detached by the administrator");
    backend_state(6);
}

static void test_a_detach_is_heard_while_it_waits_for_input(void **state)
{
    char *argv[] = {"hclcat", "-t", "2", "-w", "dev0", NULL};
    char text[512];

    (void)state;
    after_a_while(refuse);
    assert_int_equal(cat(argv, ARGC(argv), text, sizeof(text)), EXIT_DEVICE);
    assert_non_null(strstr(text, "detached by the administrator"));
    assert_string_equal(store.states, "1346");
}

static uint32_t state_after_pause;

/* Then, at the next alarm, looks what came of it. */
static void pause_for_save(void)
{
    if (backend.state == 1) {
        state_after_pause = front_state();
        return;
    }
    node_set(back("pause"), "1");
    backend_die();
    after_a_while(pause_for_save);
}

static void test_a_pause_is_heard_while_it_waits_for_output(void **state)
{
    char *argv[] = {"hclcat", "-t", "0.5", "dev0", NULL};
    char text[512];

    (void)state;
    /* Nobody reads, and the device never ends: the pipe gets full. */
    after_a_while(pause_for_save);
    assert_int_equal(cat(argv, ARGC(argv), text, sizeof(text)), EXIT_TIMED_OUT);
    assert_int_equal(state_after_pause, 1);
}

static void test_it_ends_as_soon_as_its_time_limit_says(void **state)
{
    char *argv[] = {"hclcat", "-t", "0.1", "dev0", NULL};
    char text[512];

    (void)state;
    /* Connects, but does not even open the handle, nor let go. */
    backend.mode = IGNORE;
    answer_later();
    assert_int_equal(cat(argv, ARGC(argv), text, sizeof(text)), EXIT_TIMED_OUT);
    answer_never();
    assert_false(too_late);
}

/* ---- Arguments --------------------------------------------------------- */

static void test_a_mistake_gets_two_lines(void **state)
{
    char *argv[] = {"hclcat", "-n", "many", "dev0", NULL};
    char text[1024], *line;

    (void)state;
    assert_int_equal(cat(argv, ARGC(argv), text, sizeof(text)), EXIT_USAGE);
    assert_non_null(strstr(text, "\"many\""));
    line = strchr(text, '\n');
    assert_non_null(line);
    assert_true(strncmp(line + 1, "usage: ", 7) == 0);
    assert_non_null(strstr(line, "(-h for help)"));
    assert_string_equal(strchr(line + 1, '\n'), "\n");
}

static void test_help_is_whole(void **state)
{
    char *argv[] = {"hclcat", "-h", NULL};
    char text[4096];

    (void)state;
    assert_int_equal(cat(argv, ARGC(argv), text, sizeof(text)), EXIT_DONE);
    assert_string_equal(text, usage);
}

static void test_it_copies_both_ways(void **state)
{
    char *argv[] = {"hclcat", "-w", "-n", "5", "dev0", NULL};
    char text[512];

    (void)state;
    assert_int_equal(write(in_fd, "hello", 5), 5);
    close(in_fd);
    in_fd = -1;
    assert_int_equal(cat(argv, ARGC(argv), text, sizeof(text)), EXIT_DONE);
    assert_string_equal(text, "hello");
}

#undef T
#define T(name) cmocka_unit_test_setup_teardown(name, catch_all, let_go)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_a_detach_is_heard_while_it_waits_for_input),
        T(test_a_pause_is_heard_while_it_waits_for_output),
        T(test_it_ends_as_soon_as_its_time_limit_says),
        T(test_a_mistake_gets_two_lines),
        T(test_help_is_whole),
        T(test_it_copies_both_ways),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
