# libhcl; its exported symbols are in libhcl.map.
HCL_LIB_SRCS := \
	frontend/attachment.c \
	frontend/connection.c \
	frontend/device.c \
	frontend/forkguard.c \
	frontend/handle.c \
	frontend/list.c \
	frontend/lockfile.c \
	frontend/memory.c \
	frontend/offer.c \
	frontend/open_local.c \
	frontend/pool.c \
	frontend/publish.c \
	frontend/queue.c \
	frontend/result.c \
	frontend/session.c \
	frontend/submit.c

HCL_HCLCAT_SRCS := frontend/hclcat.c
