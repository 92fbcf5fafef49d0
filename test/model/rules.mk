# SPDX-License-Identifier: MIT
#
# make check-model: the ring, the queue and the handshake, in every order in
# which their steps can happen.

.PHONY: check-model
check-model:
	@test/setup model
	@test/model/check
