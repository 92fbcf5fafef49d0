/* SPDX-License-Identifier: MIT */
/*
 * The simulated xenstored in a thread of its own, and the real libxenstore as
 * its client, through Unix sockets.
 */
#include "test_sim_store.h"

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/un.h>

/* ---- The server -------------------------------------------------------- */

static struct {
    pthread_t thread;
    char dir[32];
    struct listener {
        int fd;
        struct hcl_source *source;
    } listeners[DOMAINS];
    int command_fd;
    struct hcl_source *command;
    void (*run)(void);
    sem_t done;
} server;

static void socket_path(unsigned int key, char *path, size_t size)
{
    snprintf(path, size, "%s/%u", server.dir, key);
}

static void on_connect(void *arg, uint32_t events)
{
    const struct listener *listener = arg;

    (void)events;
    sim_store_connect(rig.host.store, accept(listener->fd, NULL, NULL),
                      &rig.machines[listener - server.listeners]);
}

static void on_command(void *arg, uint32_t events)
{
    uint64_t count;

    (void)arg;
    (void)events;
    assert_int_equal(read(server.command_fd, &count, sizeof(count)),
                     sizeof(count));
    if (server.run) {
        server.run();
        sem_post(&server.done);
    } else {
        hcl_loop_stop(rig.host.loop);
    }
}

static void tell(void (*run)(void))
{
    uint64_t one = 1;

    server.run = run;
    assert_int_equal(write(server.command_fd, &one, sizeof(one)), sizeof(one));
}

/* Runs @run in the server's thread, and waits for its end. */
static void on_server(void (*run)(void))
{
    tell(run);
    sem_wait(&server.done);
}

static void *serve(void *arg)
{
    hcl_loop_run(rig.host.loop);
    return arg;
}

static void listen_as(unsigned int key)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct listener *listener = &server.listeners[key];

    socket_path(key, address.sun_path, sizeof(address.sun_path));
    listener->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(
        bind(listener->fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener->fd, 16), 0);
    assert_int_equal(hcl_source_new(&listener->source, rig.host.loop,
                                    listener->fd, EPOLLIN, on_connect, listener,
                                    NULL),
                     0);
}

static int server_start(void **state)
{
    unsigned int key;

    assert_int_equal(rig_open(state), 0);
    strcpy(server.dir, "/tmp/hcl-store-XXXXXX");
    assert_non_null(mkdtemp(server.dir));
    for (key = 0; key < DOMAINS; key++) {
        listen_as(key);
    }
    server.command_fd = eventfd(0, 0);
    assert_int_equal(hcl_source_new(&server.command, rig.host.loop,
                                    server.command_fd, EPOLLIN, on_command,
                                    NULL, NULL),
                     0);
    sem_init(&server.done, 0, 0);
    return pthread_create(&server.thread, NULL, serve, NULL);
}

static int server_stop(void **state)
{
    char path[64];
    unsigned int key;

    tell(NULL);
    pthread_join(server.thread, NULL);
    for (key = 0; key < DOMAINS; key++) {
        hcl_source_free(server.listeners[key].source);
        close(server.listeners[key].fd);
        socket_path(key, path, sizeof(path));
        unlink(path);
    }
    hcl_source_free(server.command);
    close(server.command_fd);
    sem_destroy(&server.done);
    rmdir(server.dir);
    return rig_close(state);
}

/* A program of that domain opens its xenstore. */
static struct xs_handle *open_as(unsigned int key)
{
    struct xs_handle *xs;
    char path[64];

    socket_path(key, path, sizeof(path));
    setenv("XENSTORED_PATH", path, 1);
    xs = xs_open(0);
    assert_non_null(xs);
    return xs;
}

/* ---- Nodes ------------------------------------------------------------- */

static void write_text(struct xs_handle *xs, xs_transaction_t tx,
                       const char *path, const char *value)
{
    assert_true(xs_write(xs, tx, path, value, (unsigned int)strlen(value)));
}

static void assert_value(struct xs_handle *xs, xs_transaction_t tx,
                         const char *path, const char *expected)
{
    unsigned int len;
    char *value = xs_read(xs, tx, path, &len);

    assert_non_null(value);
    assert_string_equal(value, expected);
    assert_int_equal(len, strlen(expected));
    free(value);
}

static void assert_none(struct xs_handle *xs, xs_transaction_t tx,
                        const char *path, int error)
{
    unsigned int len;

    assert_null(xs_read(xs, tx, path, &len));
    assert_int_equal(errno, error);
}

static void libxenstore_reads_and_writes(void **state)
{
    struct xs_handle *xs = open_as(0);
    unsigned int len, num;
    char **names, *value;

    (void)state;
    assert_true(xs_write(xs, XBT_NULL, "/b/in", "a\0b", 3));
    value = xs_read(xs, XBT_NULL, "/b/in", &len);
    assert_int_equal(len, 3);
    assert_memory_equal(value, "a\0b", 3);
    free(value);
    assert_true(xs_mkdir(xs, XBT_NULL, "/b/dir"));
    names = xs_directory(xs, XBT_NULL, "/b", &num);
    assert_int_equal(num, 2);
    assert_string_equal(names[0], "in");
    assert_string_equal(names[1], "dir");
    free(names);
    names = xs_directory(xs, XBT_NULL, "/b/dir", &num);
    assert_non_null(names);
    assert_int_equal(num, 0);
    free(names);
    assert_true(xs_rm(xs, XBT_NULL, "/b"));
    assert_none(xs, XBT_NULL, "/b/in", ENOENT);
    assert_none(xs, XBT_NULL, "/b/", EINVAL);
    xs_close(xs);
}

static void libxenstore_lists_what_needs_several_answers(void **state)
{
    struct xs_handle *xs = open_as(0);
    unsigned int num, i;
    char path[64], **names;

    (void)state;
    for (i = 0; i < 1000; i++) {
        snprintf(path, sizeof(path), "/many/some-name-%04u", i);
        assert_true(xs_mkdir(xs, XBT_NULL, path));
    }
    names = xs_directory(xs, XBT_NULL, "/many", &num);
    assert_non_null(names);
    assert_int_equal(num, 1000);
    for (i = 0; i < num; i++) {
        snprintf(path, sizeof(path), "some-name-%04u", i);
        assert_string_equal(names[i], path);
    }
    free(names);
    xs_close(xs);
}

static void libxenstore_sets_permissions(void **state)
{
    struct xs_handle *xs = open_as(0), *guest = open_as(1);
    struct xs_permissions *got, set[] = {{.id = 0, .perms = XS_PERM_NONE},
                                         {.id = 1, .perms = XS_PERM_READ}};
    unsigned int num;

    (void)state;
    write_text(xs, XBT_NULL, "/local/domain/1/x", "y");
    assert_none(guest, XBT_NULL, "x", EACCES);
    assert_true(xs_set_permissions(xs, XBT_NULL, "/local/domain/1/x", set, 2));
    assert_value(guest, XBT_NULL, "x", "y");
    got = xs_get_permissions(guest, XBT_NULL, "x", &num);
    assert_int_equal(num, 2);
    assert_int_equal(got[0].id, 0);
    assert_int_equal(got[0].perms, XS_PERM_NONE);
    assert_int_equal(got[1].id, 1);
    assert_int_equal(got[1].perms, XS_PERM_READ);
    free(got);
    xs_close(xs);
    xs_close(guest);
}

static void libxenstore_commits_and_conflicts(void **state)
{
    struct xs_handle *xs = open_as(0), *other = open_as(0);
    xs_transaction_t tx = xs_transaction_start(xs);

    (void)state;
    assert_int_not_equal(tx, XBT_NULL);
    write_text(xs, tx, "/t/a", "1");
    assert_value(xs, tx, "/t/a", "1");
    assert_none(other, XBT_NULL, "/t/a", ENOENT);
    assert_true(xs_transaction_end(xs, tx, false));
    assert_value(other, XBT_NULL, "/t/a", "1");
    tx = xs_transaction_start(xs);
    assert_value(xs, tx, "/t/a", "1");
    write_text(other, XBT_NULL, "/t/a", "2");
    write_text(xs, tx, "/t/b", "1");
    assert_false(xs_transaction_end(xs, tx, false));
    assert_int_equal(errno, EAGAIN);
    assert_none(xs, XBT_NULL, "/t/b", ENOENT);
    xs_close(xs);
    xs_close(other);
}

/* ---- Watches and domains ----------------------------------------------- */

static void assert_watch(struct xs_handle *xs, const char *path,
                         const char *token)
{
    unsigned int num;
    char **event = xs_read_watch(xs, &num);

    assert_non_null(event);
    assert_string_equal(event[XS_WATCH_PATH], path);
    assert_string_equal(event[XS_WATCH_TOKEN], token);
    free(event);
}

static void assert_no_watch(struct xs_handle *xs)
{
    char **event;

    /* An answer comes behind all events. */
    free(xs_get_domain_path(xs, 0));
    event = xs_check_watch(xs);
    assert_null(event);
    assert_int_equal(errno, EAGAIN);
}

static void libxenstore_watches(void **state)
{
    struct xs_handle *xs = open_as(0), *other = open_as(0);
    struct pollfd fd = {.fd = xs_fileno(xs), .events = POLLIN};

    (void)state;
    assert_true(xs_watch(xs, "/w", "token"));
    assert_int_equal(poll(&fd, 1, -1), 1);
    assert_watch(xs, "/w", "token");
    write_text(other, XBT_NULL, "/w/x/y", "z");
    assert_int_equal(poll(&fd, 1, -1), 1);
    assert_watch(xs, "/w/x/y", "token");
    assert_no_watch(xs);
    assert_true(xs_unwatch(xs, "/w", "token"));
    write_text(other, XBT_NULL, "/w/x/y", "z");
    assert_no_watch(xs);
    xs_close(xs);
    xs_close(other);
}

static void shut_down(void)
{
    rig.domains[2].shutdown = 0;
    sim_store_domain_changed(rig.host.store, &rig.domains[2]);
}

static void destroy(void)
{
    rig.domains[2].machine = NULL;
    rig.machines[2].domain = NULL;
    rig.domains[2].dying = true;
    sim_store_domain_changed(rig.host.store, &rig.domains[2]);
    sim_store_disconnect(rig.host.store, &rig.machines[2]);
}

static void libxenstore_follows_domains(void **state)
{
    struct xs_handle *xs = open_as(0), *guest = open_as(2);
    char *path = xs_get_domain_path(guest, 2);

    (void)state;
    assert_string_equal(path, "/local/domain/2");
    free(path);
    assert_true(xs_watch(xs, "@introduceDomain", "in"));
    assert_watch(xs, "@introduceDomain", "in");
    assert_true(xs_watch(xs, "@releaseDomain", "out"));
    assert_watch(xs, "@releaseDomain", "out");
    assert_true(xs_release_domain(xs, 1));
    assert_watch(xs, "@releaseDomain", "out");
    assert_false(xs_is_domain_introduced(xs, 1));
    assert_true(xs_introduce_domain(xs, 1, 1, 1));
    assert_watch(xs, "@introduceDomain", "in");
    assert_true(xs_is_domain_introduced(xs, 1));
    assert_false(xs_introduce_domain(guest, 1, 1, 1));
    assert_int_equal(errno, EACCES);
    on_server(shut_down);
    assert_watch(xs, "@releaseDomain", "out");
    assert_true(xs_resume_domain(xs, 2));
    assert_true(xs_set_target(xs, 2, 1));
    on_server(destroy);
    assert_watch(xs, "@releaseDomain", "out");
    assert_no_watch(xs);
    assert_none(guest, XBT_NULL, "x", EPIPE);
    xs_close(xs);
    xs_close(guest);
}

static void move(void)
{
    struct sim_machine *machine = &rig.machines[1];

    rig.domains[1].dying = true;
    rig.domains[1].machine = NULL;
    machine->domain = NULL;
    sim_store_domain_changed(rig.host.store, &rig.domains[1]);
    machine->domain = &rig.domains[2];
    rig.domains[2].machine = machine;
    sim_store_restored(rig.host.store, machine);
}

static void libxenstore_goes_on_after_a_restore(void **state)
{
    struct xs_handle *guest = open_as(1), *xs = open_as(0);
    struct xs_permissions all = {.id = 0, .perms = XS_PERM_READ};
    xs_transaction_t tx;

    (void)state;
    write_text(xs, XBT_NULL, "/local/domain/2/domid", "2");
    assert_true(
        xs_set_permissions(xs, XBT_NULL, "/local/domain/2/domid", &all, 1));
    assert_true(xs_watch(guest, "domid", "t"));
    assert_watch(guest, "domid", "t");
    tx = xs_transaction_start(guest);
    on_server(move);
    assert_watch(guest, "domid", "t");
    assert_value(guest, XBT_NULL, "domid", "2");
    assert_false(xs_transaction_end(guest, tx, false));
    assert_int_equal(errno, EAGAIN);
    xs_close(guest);
    xs_close(xs);
}

int main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, server_start, server_stop)
    const struct CMUnitTest tests[] = {
        TEST(libxenstore_reads_and_writes),
        TEST(libxenstore_lists_what_needs_several_answers),
        TEST(libxenstore_sets_permissions),
        TEST(libxenstore_commits_and_conflicts),
        TEST(libxenstore_watches),
        TEST(libxenstore_follows_domains),
        TEST(libxenstore_goes_on_after_a_restore),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
