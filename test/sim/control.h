/* SPDX-License-Identifier: MIT */
/*
 * control.h: the socket through which the toolstack and hcl-sim's commands ask
 * the host for something, $HCL_SIM/control (SOCK_SEQPACKET).
 *
 * A connection is for one request: a line of words.  The answer begins with a
 * line "ok ..." or "error ERRNO TEXT"; more text may follow, in further
 * packets, until the host closes.
 *
 *   create UUID              -> ok DOMID, paused
 *   restore KEY UUID         -> ok DOMID, paused: the saved machine KEY
 *   pause DOMID, unpause DOMID
 *   shutdown DOMID REASON    -> its programs are killed; Xen's reasons, in
 *                               numbers; 2, suspend, stops them instead
 *   resume DOMID             -> after a suspend; its programs go on in it
 *   destroy DOMID            -> at once, with its programs
 *   save DOMID               -> ok KEY: destroys the suspended domain, keeps
 *                               the machine
 *   wait DOMID               -> ok REASON once it has shut down, or ok gone
 *   list                     -> lines of DOMID UUID FLAGS, the flags in hex as
 *                               in Xen's struct xen_domctl_getdomaininfo
 *   machine DOMID            -> ok KEY, once it runs
 *   log DOMID                -> its kernel's log
 *   fault SPEC               -> see fault.h
 *   quota NAME=N             -> see struct sim_limits
 *   baseline                 -> the nodes there are now are the host's own
 *   audit                    -> what there is, see audit.h; ok COUNT first
 */
#ifndef SIM_CONTROL_H
#define SIM_CONTROL_H

#include "host.h"

struct sim_control;

/* ---- In the host ------------------------------------------------------- */

__attribute__((warn_unused_result)) int
sim_control_new(struct sim_control **ret_control, struct sim_host *host,
                struct hcl_err *err);
void sim_control_free(struct sim_control *control);

/* A domain has changed: answers those who wait for that. */
void sim_control_changed(struct sim_control *control);

/* ---- In programs ------------------------------------------------------- */

/*
 * Asks and waits for the whole answer: what follows "ok " in *@ret_answer,
 * which the caller frees; it may be NULL.  An error of the host is returned
 * with its text, and -ENOTCONN if there is no host.
 */
__attribute__((warn_unused_result, format(printf, 3, 4))) int
sim_control_ask(char **ret_answer, struct hcl_err *err, const char *fmt, ...);

#endif /* SIM_CONTROL_H */
