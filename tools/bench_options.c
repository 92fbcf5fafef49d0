/* SPDX-License-Identifier: MIT */
#include "bench.h"

#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "hclif.h"

/* What libhcl allows for a pool, and what its session keeps for itself. */
#define MAX_POOL_BYTES (16u << 20)
#define RESERVED_SLOTS 8
#define MAX_DEPTH                                                              \
    ((HCLIF_SLOTS_PER_PAGE << HCLIF_MAX_RING_PAGE_ORDER) - RESERVED_SLOTS)
#define MAX_HANDLES 1024
#define MAX_SECONDS 86400
#define MAX_COUNT 1000000000000ull

static const char usage[] =
    "usage: hcl-bench [OPTION...] DEVICE\n"
    "       hcl-bench --local [OPTION...] [ITEM]\n"
    "\n"
    "Measures how fast this guest and the host exchange requests, with\n"
    "DEVICE, which is best of class echo (in hcl.conf:\n"
    "\"name=echo0,class=echo\").  With --local it brings up both ends itself,\n"
    "in two processes and without Xen.\n"
    "\n"
    "  -m, --mode LIST    what to measure, one after the other, separated by\n"
    "                     commas; without it all of these:\n"
    "                       latency  one request at a time: exchange of 64\n"
    "                                bytes\n"
    "                       rate     one way: write of 64 bytes, 128 at a\n"
    "                                time\n"
    "                       depth    there and back: exchange of 64 bytes,\n"
    "                                16 at a time\n"
    "                       stream   exchange of 32K, 4 at a time; with\n"
    "                                copies, then with pool buffers\n"
    "  -o, --op OP        read, write or exchange instead\n"
    "  -s, --size BYTES   of each payload and answer instead; 64K or 1M are\n"
    "                     fine\n"
    "  -d, --depth N      requests at a time instead; not for latency\n"
    "  -b, --buffers KIND pool: payloads lie in memory that both sides reach;\n"
    "                     copy: they lie elsewhere, and libhcl copies;\n"
    "                     without it pool, for stream both\n"
    "  -H, --handles N    open N handles and use them in turn (1)\n"
    "  -t, --think-us N   for latency: N microseconds between an answer and\n"
    "                     the next request, computing up to 1000, beyond that\n"
    "                     asleep (0)\n"
    "  -T, --seconds S    measure for S seconds each (1)\n"
    "  -n, --count N      or N requests each; with both, what comes first\n"
    "  -w, --warmup N     requests before that, which do not count (100)\n"
    "  -c, --check        compare answers of an exchange with what was sent\n"
    "      --timeout S    to connect, and without any answer (10)\n"
    "      --worker PATH  for --local: the hcl-worker to start; without it\n"
    "                     the one beside hcl-bench, or in ../sbin\n"
    "  -j, --json         print JSON, with times in nanoseconds\n"
    "  -h, --help         print this\n"
    "  -V, --version      print the version\n"
    "\n"
    "ITEM is the device that --local serves, as in hcl.conf; without it\n"
    "\"name=local,class=echo\".\n"
    "\n"
    "Latencies are right within 1/32.  CPU time is that of this process.\n"
    "Events are wake-ups that one side sends the other: few under load, and\n"
    "few when both sides poll.  A request costs no grant operation, and with\n"
    "pool buffers nothing is copied.\n"
    "\n"
    "Exit status: 0 done, 1 usage, 2 no such device, 3 refused, 4 timed out,\n"
    "5 the device failed or answered wrongly, 6 in use, 128 and more a\n"
    "signal, after a report of what was measured until then.\n";

enum { TIMEOUT = 256, WORKER, LOCAL };

static const struct option option_names[] = {
    {"mode", required_argument, NULL, 'm'},
    {"op", required_argument, NULL, 'o'},
    {"size", required_argument, NULL, 's'},
    {"depth", required_argument, NULL, 'd'},
    {"buffers", required_argument, NULL, 'b'},
    {"handles", required_argument, NULL, 'H'},
    {"think-us", required_argument, NULL, 't'},
    {"seconds", required_argument, NULL, 'T'},
    {"count", required_argument, NULL, 'n'},
    {"warmup", required_argument, NULL, 'w'},
    {"check", no_argument, NULL, 'c'},
    {"timeout", required_argument, NULL, TIMEOUT},
    {"worker", required_argument, NULL, WORKER},
    {"local", no_argument, NULL, LOCAL},
    {"json", no_argument, NULL, 'j'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

/* What each mode does where no option says otherwise. */
static const struct {
    const char *name;
    uint8_t opcode;
    uint32_t bytes;
    uint32_t depth;
} modes[HCL_BENCH_MODES] = {
    [HCL_BENCH_LATENCY] = {"latency", HCL_EXCHANGE, 64, 1},
    [HCL_BENCH_RATE] = {"rate", HCL_WRITE, 64, 128},
    [HCL_BENCH_DEPTH] = {"depth", HCL_EXCHANGE, 64, 16},
    [HCL_BENCH_STREAM] = {"stream", HCL_EXCHANGE, 32768, 4},
};

enum buffers { BY_MODE, POOL, COPY };

/* The command line, before the runs are made of it. */
struct wishes {
    bool modes[HCL_BENCH_MODES];
    bool any_mode;
    uint8_t opcode; /* 0: by mode */
    int64_t bytes;  /* -1: by mode */
    uint32_t depth; /* 0: by mode */
    enum buffers buffers;
    struct hcl_bench_run run; /* what is the same for all */
};

const char *hcl_bench_mode_name(enum hcl_bench_mode mode)
{
    return modes[mode].name;
}

const char *hcl_bench_opcode_name(uint8_t opcode)
{
    switch (opcode) {
    case HCL_READ:
        return "read";
    case HCL_WRITE:
        return "write";
    default:
        return "exchange";
    }
}

__attribute__((format(printf, 1, 2))) static int wrong(const char *fmt, ...)
{
    va_list args;

    fputs("hcl-bench: ", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputs("\nusage: hcl-bench [OPTION...] DEVICE | hcl-bench --local "
          "[OPTION...]  (--help says more)\n",
          stderr);
    return HCL_BENCH_USAGE;
}

/* ---- Values ------------------------------------------------------------ */

static bool read_number(const char *text, uint64_t min, uint64_t max,
                        uint64_t *ret_value)
{
    char *end;
    unsigned long long value;

    if (*text < '0' || *text > '9') {
        return false; /* strtoull takes a sign */
    }
    value = strtoull(text, &end, 10);
    if (*end || value < min || value > max) {
        return false;
    }
    *ret_value = value;
    return true;
}

/* "4096", "4K", "1M". */
static bool read_bytes(const char *text, uint64_t *ret_bytes)
{
    size_t length = strlen(text);
    unsigned int shift = 0;
    char digits[16];

    if (length > 0 && strchr("kKmM", text[length - 1])) {
        shift = strchr("kK", text[length - 1]) ? 10 : 20;
        length--;
    }
    if (length >= sizeof(digits)) {
        return false;
    }
    memcpy(digits, text, length);
    digits[length] = '\0';
    if (!read_number(digits, 0, MAX_POOL_BYTES >> shift, ret_bytes)) {
        return false;
    }
    *ret_bytes <<= shift;
    return true;
}

static bool read_seconds(const char *text, double least, uint64_t *ret_us)
{
    char *end;
    double seconds = strtod(text, &end);

    if (end == text || *end || !(seconds >= least) || seconds > MAX_SECONDS) {
        return false;
    }
    *ret_us = (uint64_t)(seconds * 1e6);
    return true;
}

static bool read_modes(const char *text, struct wishes *wishes)
{
    size_t length;
    int mode;

    for (;; text += length + 1) {
        length = strcspn(text, ",");
        for (mode = 0; mode < HCL_BENCH_MODES; mode++) {
            if (strlen(modes[mode].name) == length &&
                strncmp(modes[mode].name, text, length) == 0) {
                break;
            }
        }
        if (mode == HCL_BENCH_MODES) {
            return false;
        }
        wishes->modes[mode] = true;
        wishes->any_mode = true;
        if (!text[length]) {
            return true;
        }
    }
}

static bool read_opcode(const char *text, struct wishes *wishes)
{
    static const uint8_t opcodes[] = {HCL_READ, HCL_WRITE, HCL_EXCHANGE};

    for (size_t i = 0; i < sizeof(opcodes); i++) {
        if (strcmp(text, hcl_bench_opcode_name(opcodes[i])) == 0) {
            wishes->opcode = opcodes[i];
            return true;
        }
    }
    return false;
}

static bool read_buffers(const char *text, struct wishes *wishes)
{
    if (strcmp(text, "pool") == 0) {
        wishes->buffers = POOL;
    } else if (strcmp(text, "copy") == 0) {
        wishes->buffers = COPY;
    } else {
        return false;
    }
    return true;
}

/* ---- Options ----------------------------------------------------------- */

static int take_text(int letter, struct wishes *wishes)
{
    switch (letter) {
    case 'm':
        return read_modes(optarg, wishes)
                   ? -1
                   : wrong("--mode '%s': expected some of latency, rate, "
                           "depth and stream, separated by commas",
                           optarg);
    case 'o':
        return read_opcode(optarg, wishes)
                   ? -1
                   : wrong("--op '%s': expected read, write or exchange",
                           optarg);
    default:
        return read_buffers(optarg, wishes)
                   ? -1
                   : wrong("--buffers '%s': expected pool or copy", optarg);
    }
}

/* Options with a whole number, and how it is bounded. */
static const struct {
    int letter;
    const char *name;
    uint64_t min, max;
} numbers[] = {
    {'d', "depth", 1, MAX_DEPTH},   {'H', "handles", 1, MAX_HANDLES},
    {'t', "think-us", 0, 60000000}, {'n', "count", 1, MAX_COUNT},
    {'w', "warmup", 0, MAX_COUNT},
};

static int take_number(int letter, struct wishes *wishes)
{
    uint64_t value;
    size_t i = 0;

    while (numbers[i].letter != letter) {
        i++;
    }
    if (!read_number(optarg, numbers[i].min, numbers[i].max, &value)) {
        return wrong("--%s '%s': expected a number from %llu to %llu",
                     numbers[i].name, optarg,
                     (unsigned long long)numbers[i].min,
                     (unsigned long long)numbers[i].max);
    }
    switch (letter) {
    case 'd':
        wishes->depth = (uint32_t)value;
        break;
    case 'H':
        wishes->run.handles = (uint32_t)value;
        break;
    case 't':
        wishes->run.think_us = (uint32_t)value;
        break;
    case 'n':
        wishes->run.count = value;
        break;
    default:
        wishes->run.warmup = value;
    }
    return -1;
}

static int take_time(const char *name, double least, uint64_t *ret_us)
{
    return read_seconds(optarg, least, ret_us)
               ? -1
               : wrong("--%s '%s': expected seconds, %g to %d", name, optarg,
                       least, MAX_SECONDS);
}

/* -1: goes on. */
static int take(int letter, struct wishes *wishes,
                struct hcl_bench_options *options)
{
    uint64_t value = 0;

    switch (letter) {
    case 's':
        if (!read_bytes(optarg, &value)) {
            return wrong("--size '%s': expected bytes, 0 to 16M", optarg);
        }
        wishes->bytes = (int64_t)value;
        return -1;
    case 'T':
        return take_time("seconds", 0.001, &wishes->run.duration_us);
    case TIMEOUT:
        if (take_time("timeout", 0.1, &value) >= 0) {
            return HCL_BENCH_USAGE;
        }
        options->timeout_ms = (int)(value / 1000);
        return -1;
    case 'c':
        wishes->run.check = true;
        return -1;
    case 'j':
        options->json = true;
        return -1;
    case LOCAL:
        options->local = true;
        return -1;
    case WORKER:
        options->worker = optarg;
        return -1;
    case 'm':
    case 'o':
    case 'b':
        return take_text(letter, wishes);
    default:
        return take_number(letter, wishes);
    }
}

/* ---- The runs ---------------------------------------------------------- */

static void add_run(struct hcl_bench_options *options,
                    const struct wishes *wishes, enum hcl_bench_mode mode,
                    bool copy)
{
    struct hcl_bench_run *run = &options->runs[options->num_runs++];

    *run = wishes->run;
    run->mode = mode;
    run->copy = copy;
    run->opcode = wishes->opcode ? wishes->opcode : modes[mode].opcode;
    run->bytes =
        wishes->bytes < 0 ? modes[mode].bytes : (uint32_t)wishes->bytes;
    run->depth = wishes->depth ? wishes->depth : modes[mode].depth;
    if (mode == HCL_BENCH_LATENCY) {
        run->depth = 1;
    } else {
        run->think_us = 0;
    }
    if (!run->count && !run->duration_us) {
        run->duration_us = 1000000;
    }
}

static void add_runs(struct hcl_bench_options *options,
                     const struct wishes *wishes)
{
    for (int mode = 0; mode < HCL_BENCH_MODES; mode++) {
        if (wishes->any_mode && !wishes->modes[mode]) {
            continue;
        }
        if (wishes->buffers == COPY ||
            (wishes->buffers == BY_MODE && mode == HCL_BENCH_STREAM)) {
            add_run(options, wishes, (enum hcl_bench_mode)mode, true);
        }
        if (wishes->buffers != COPY) {
            add_run(options, wishes, (enum hcl_bench_mode)mode, false);
        }
    }
}

static void enlarge(uint32_t *bytes, uint64_t need)
{
    if (need > *bytes) {
        *bytes = (uint32_t)need;
    }
}

const struct hcl_bench_run *
hcl_bench_memory(const struct hcl_bench_options *options,
                 struct hcl_open_options *ret_memory)
{
    struct hcl_open_options memory = HCL_OPEN_DEFAULTS;

    for (unsigned int i = 0; i < options->num_runs; i++) {
        const struct hcl_bench_run *run = &options->runs[i];
        /* A piece of a pool begins at a multiple of 64. */
        uint64_t piece = run->bytes ? (run->bytes + 63ull) & ~63ull : 64;
        uint64_t need = run->depth * piece;

        if (need > MAX_POOL_BYTES) {
            return run;
        }
        if (run->opcode != HCL_READ) {
            enlarge(&memory.tx_pool_bytes, need);
        }
        if (run->opcode != HCL_WRITE) {
            enlarge(&memory.rx_pool_bytes, need);
        }
        while (((uint32_t)HCLIF_SLOTS_PER_PAGE << memory.ring_page_order) <
               run->depth + RESERVED_SLOTS) {
            memory.ring_page_order++;
        }
    }
    *ret_memory = memory;
    return NULL;
}

/* What no single option shows to be wrong. */
static int check_all(const struct hcl_bench_options *options,
                     const struct wishes *wishes)
{
    const struct hcl_bench_run *large;
    struct hcl_open_options memory;

    if (!options->local && !options->device) {
        return wrong("expected the name of a device (hclcat -l lists them), or "
                     "--local");
    }
    if (options->worker && !options->local) {
        return wrong("--worker is for --local only: a guest's devices are "
                     "served by the host");
    }
    if (wishes->run.check && wishes->opcode && wishes->opcode != HCL_EXCHANGE) {
        return wrong("--check compares answers with what was sent: it needs "
                     "--op exchange");
    }
    large = hcl_bench_memory(options, &memory);
    if (large) {
        return wrong("%u requests of %u bytes at a time do not fit into a pool "
                     "of 16M: make --size or --depth smaller",
                     large->depth, large->bytes);
    }
    return -1;
}

int hcl_bench_parse(int argc, char **argv,
                    struct hcl_bench_options *ret_options)
{
    struct wishes wishes = {.bytes = -1, .run = {.handles = 1, .warmup = 100}};
    struct hcl_bench_options options = {.timeout_ms = 10000};
    int letter, status = -1;

    optind = 0;
    opterr = 0;
    while (status < 0 &&
           (letter = getopt_long(argc, argv, "m:o:s:d:b:H:t:T:n:w:cjhV",
                                 option_names, NULL)) != -1) {
        switch (letter) {
        case 'h':
            fputs(usage, stdout);
            return HCL_BENCH_OK;
        case 'V':
            puts("hcl-bench " HCL_VERSION);
            return HCL_BENCH_OK;
        case '?':
            return wrong("no such option, or its value is missing: %s",
                         argv[optind > 1 ? optind - 1 : 1]);
        default:
            status = take(letter, &wishes, &options);
        }
    }
    if (status >= 0) {
        return status;
    }
    if (argc - optind > 1) {
        return wrong("expected one device, got also '%s'", argv[optind + 1]);
    }
    options.device = argv[optind]; /* NULL at the end */
    add_runs(&options, &wishes);
    status = check_all(&options, &wishes);
    if (status < 0) {
        *ret_options = options;
    }
    return status;
}
