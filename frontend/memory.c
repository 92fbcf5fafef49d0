/* SPDX-License-Identifier: MIT */
#include "memory.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "barrier.h"

/* The references of a connection, while its control page is being filled. */
struct refs {
    uint32_t ro[HCL_MAX_REFS];
    uint32_t rw[HCL_MAX_REFS];
    uint32_t extra[HCLIF_MAX_EXTRA_PAGES];
};

static size_t bytes_of(uint32_t pages)
{
    return (size_t)pages * HCLIF_PAGE_BYTES;
}

static void *private_pages(uint32_t num)
{
    void *pages = mmap(NULL, bytes_of(num), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return pages == MAP_FAILED ? NULL : pages;
}

/* A child that kept the pages would keep the backend from seeing our death. */
static void not_for_children(void *pages, uint32_t num)
{
    (void)madvise(pages, bytes_of(num), MADV_DONTFORK);
}

/* ---- Pools ------------------------------------------------------------- */

static int pool_share(struct hcl_memory_pool *pool, struct hcl_share *share,
                      uint32_t domid, bool writable, uint32_t *refs,
                      struct hcl_err *err)
{
    void *pages;
    int ret;

    if (!pool->num) {
        return 0;
    }
    if (!pool->spare) {
        pool->spare = private_pages(pool->num);
        if (!pool->spare) {
            return hcl_err_sys(err, -ENOMEM, "a pool of %u pages", pool->num);
        }
    }
    ret = hcl_share_pages(share, domid, pool->num, writable, refs, &pages, err);
    if (ret < 0) {
        return ret;
    }
    memcpy(pages, pool->pages, bytes_of(pool->num));
    not_for_children(pages, pool->num);
    ret = hcl_share_move(share, pages, pool->num, pool->pages, err);
    if (ret < 0) {
        hcl_share_unmap(share, pages, pool->num);
        return ret;
    }
    pool->shared = true;
    return 0;
}

static int pool_release(struct hcl_memory_pool *pool, struct hcl_share *share,
                        struct hcl_err *err)
{
    int ret;

    if (!pool->shared) {
        return 0;
    }
    memcpy(pool->spare, pool->pages, bytes_of(pool->num));
    ret = hcl_share_replace(share, pool->pages, pool->num, pool->spare, err);
    if (ret < 0) {
        return ret;
    }
    pool->spare = NULL;
    pool->shared = false;
    return 0;
}

static void pool_clear(struct hcl_memory_pool *pool)
{
    if (pool->pages) {
        munmap(pool->pages, bytes_of(pool->num));
    }
    if (pool->spare) {
        munmap(pool->spare, bytes_of(pool->num));
    }
    memset(pool, 0, sizeof(*pool));
}

int hcl_memory_init(struct hcl_memory *memory, uint32_t tx_pages,
                    uint32_t rx_pages, struct hcl_err *err)
{
    memset(memory, 0, sizeof(*memory));
    memory->tx.num = tx_pages;
    memory->rx.num = rx_pages;
    if (tx_pages) {
        memory->tx.pages = private_pages(tx_pages);
    }
    if (rx_pages) {
        memory->rx.pages = private_pages(rx_pages);
    }
    if ((tx_pages && !memory->tx.pages) || (rx_pages && !memory->rx.pages)) {
        hcl_memory_clear(memory);
        return hcl_err_sys(err, -ENOMEM, "pools of %u and %u pages", tx_pages,
                           rx_pages);
    }
    return 0;
}

void hcl_memory_clear(struct hcl_memory *memory)
{
    pool_clear(&memory->tx);
    pool_clear(&memory->rx);
}

/* ---- All pages --------------------------------------------------------- */

static int share_pages(struct hcl_share *share, uint32_t domid, uint32_t num,
                       bool writable, uint32_t *refs, void **ret_pages,
                       struct hcl_err *err)
{
    int ret =
        hcl_share_pages(share, domid, num, writable, refs, ret_pages, err);

    if (ret == 0) {
        not_for_children(*ret_pages, num);
    }
    return ret;
}

/* The region that the backend only reads. */
static int share_ro(struct hcl_memory *memory, struct hcl_share *share,
                    uint32_t domid, uint32_t *refs, struct hcl_err *err)
{
    uint32_t ring_pages = 1u << memory->layout.ring_page_order;
    void *page;
    /* alive is the front page's first byte. */
    int ret =
        hcl_share_page_notify(share, domid, false, 0, &refs[0], &page, err);

    if (ret < 0) {
        return ret;
    }
    not_for_children(page, 1);
    memory->front = page;
    hcl_store_once(&memory->front->alive, 1);
    ret = share_pages(share, domid, ring_pages, false, &refs[1],
                      &memory->requests, err);
    if (ret < 0) {
        return ret;
    }
    return pool_share(&memory->tx, share, domid, false, &refs[1 + ring_pages],
                      err);
}

/* The region that the backend writes. */
static int share_rw(struct hcl_memory *memory, struct hcl_share *share,
                    uint32_t domid, uint32_t *refs, struct hcl_err *err)
{
    uint32_t ring_pages = 1u << memory->layout.ring_page_order;
    void *page;
    int ret = share_pages(share, domid, 1, true, &refs[0], &page, err);

    if (ret < 0) {
        return ret;
    }
    memory->back = page;
    ret = share_pages(share, domid, ring_pages, true, &refs[1],
                      &memory->completions, err);
    if (ret < 0) {
        return ret;
    }
    return pool_share(&memory->rx, share, domid, true, &refs[1 + ring_pages],
                      err);
}

/* The control page and its extra pages. */
static int share_control(struct hcl_memory *memory, struct hcl_share *share,
                         uint32_t domid, uint32_t *extra_refs,
                         struct hcl_err *err)
{
    void *pages;
    int ret =
        share_pages(share, domid, 1, false, &memory->control_ref, &pages, err);

    if (ret < 0) {
        return ret;
    }
    memory->control = pages;
    memory->num_extra = hcl_layout_extra_pages(&memory->layout);
    if (!memory->num_extra) {
        return 0;
    }
    ret = share_pages(share, domid, memory->num_extra, false, extra_refs,
                      &pages, err);
    if (ret == 0) {
        memory->extra = pages;
    }
    return ret;
}

int hcl_memory_share(struct hcl_memory *memory, struct hcl_share *share,
                     uint32_t domid, uint32_t ring_page_order,
                     uint64_t generation, uint64_t incarnation,
                     struct hcl_err *err)
{
    struct refs *refs = calloc(1, sizeof(*refs));
    int ret;

    if (!refs) {
        return hcl_err_sys(err, -ENOMEM, "grant references");
    }
    assert(!memory->control && !memory->front && !memory->back);
    memory->layout = (struct hcl_layout){
        .num_queues = 1,
        .ring_page_order = ring_page_order,
        .tx_pages = memory->tx.num,
        .rx_pages = memory->rx.num,
    };
    ret = share_ro(memory, share, domid, refs->ro, err);
    if (ret < 0) {
        goto out;
    }
    ret = share_rw(memory, share, domid, refs->rw, err);
    if (ret < 0) {
        goto out;
    }
    ret = share_control(memory, share, domid, refs->extra, err);
    if (ret < 0) {
        goto out;
    }
    hcl_control_fill(memory->control, memory->extra, &memory->layout,
                     generation, incarnation, refs->extra, refs->ro, refs->rw);
out:
    free(refs);
    if (ret < 0) {
        /* The first failure is the one to tell. */
        (void)!hcl_memory_release(memory, share, NULL);
    }
    return ret;
}

int hcl_memory_release(struct hcl_memory *memory, struct hcl_share *share,
                       struct hcl_err *err)
{
    uint32_t ring_pages = 1u << memory->layout.ring_page_order;
    int ret, tx_ret;

    hcl_share_unmap(share, memory->control, 1);
    hcl_share_unmap(share, memory->extra, memory->num_extra);
    hcl_share_unmap(share, memory->front, 1);
    hcl_share_unmap(share, memory->back, 1);
    hcl_share_unmap(share, memory->requests, ring_pages);
    hcl_share_unmap(share, memory->completions, ring_pages);
    memory->control = NULL;
    memory->extra = NULL;
    memory->front = NULL;
    memory->back = NULL;
    memory->requests = NULL;
    memory->completions = NULL;
    tx_ret = pool_release(&memory->tx, share, err);
    ret = pool_release(&memory->rx, share, err);
    return tx_ret < 0 ? tx_ret : ret;
}
