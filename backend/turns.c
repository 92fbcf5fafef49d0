/* SPDX-License-Identifier: MIT */
#include "turns.h"

#include <stddef.h>

static uint32_t turn_guest(const struct hcl_turn *turn)
{
    return hcl_handle_guest(turn->job->handle);
}

void hcl_turns_add(struct hcl_turns *turns, struct hcl_turn *turn,
                   struct hcl_job *job)
{
    struct hcl_turn **link = &turns->first;

    turn->job = job;
    turn->next = NULL;
    turn->last = turn;
    turn->next_guest = NULL;
    while (*link && turn_guest(*link) != turn_guest(turn)) {
        link = &(*link)->next_guest;
    }
    if (*link) {
        (*link)->last->next = turn;
        (*link)->last = turn;
    } else {
        *link = turn;
    }
}

struct hcl_job *hcl_turns_peek(const struct hcl_turns *turns)
{
    return turns->first ? turns->first->job : NULL;
}

struct hcl_job *hcl_turns_take(struct hcl_turns *turns)
{
    struct hcl_turn *taken = turns->first;
    struct hcl_turn *next;

    if (!taken) {
        return NULL;
    }
    next = taken->next;
    turns->first = taken->next_guest;
    if (next) {
        struct hcl_turn **link = &turns->first;

        next->last = taken->last;
        next->next_guest = NULL;
        while (*link) {
            link = &(*link)->next_guest;
        }
        *link = next;
    }
    return taken->job;
}

/* The first one of a guest, at *@link: its next one, if any, comes up. */
static void remove_first(struct hcl_turn **link)
{
    struct hcl_turn *first = *link;
    struct hcl_turn *next = first->next;

    if (next) {
        next->last = first->last;
        next->next_guest = first->next_guest;
        *link = next;
    } else {
        *link = first->next_guest;
    }
}

bool hcl_turns_remove(struct hcl_turns *turns, struct hcl_turn *turn)
{
    struct hcl_turn **link = &turns->first;
    struct hcl_turn *before;

    if (!turn->job) {
        return false; /* zeroed: never added */
    }
    while (*link && turn_guest(*link) != turn_guest(turn)) {
        link = &(*link)->next_guest;
    }
    if (!*link) {
        return false;
    }
    if (*link == turn) {
        remove_first(link);
        return true;
    }
    for (before = *link; before->next; before = before->next) {
        if (before->next == turn) {
            before->next = turn->next;
            if ((*link)->last == turn) {
                (*link)->last = before;
            }
            return true;
        }
    }
    return false;
}
