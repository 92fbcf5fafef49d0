# What every program may use; without config.c, which needs libxlutil.
HCL_COMMON_SRCS := \
	common/err.c \
	common/grant.c \
	common/handshake.c \
	common/histogram.c \
	common/layout.c \
	common/local.c \
	common/log.c \
	common/loop.c \
	common/port.c \
	common/ring.c \
	common/spec.c \
	common/spin.c \
	common/store.c

# The part of it that is in libhcl: a library never logs and reads no config.
HCL_LIB_COMMON_SRCS := $(filter-out common/histogram.c common/log.c \
	common/spec.c,$(HCL_COMMON_SRCS))
