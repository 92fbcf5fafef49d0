# libxlutil's parser alone, out of the static library: it needs nothing else of
# libxlutil, and nothing of libxenlight (common/config.c says why).  Where there
# is no static library: make HCL_XLUTIL_LIBS=-lxlutil.
HCL_XLUTIL_LIBS ?= -l:libxlutil.a

HCL_HCLCTL_SRCS := \
	tools/attach.c \
	tools/attachment.c \
	tools/attachment_make.c \
	tools/attachment_record.c \
	tools/command.c \
	tools/create.c \
	tools/domains.c \
	tools/guest.c \
	tools/hclctl.c \
	tools/item.c \
	tools/list.c \
	tools/record.c \
	tools/save.c \
	tools/save_file.c \
	tools/stop.c \
	tools/watch.c \
	tools/watch_guest.c \
	tools/watch_source.c \
	tools/xl.c \
	tools/xl_command.c \
	tools/xl_process.c

# With what it needs of the backend to start an hcl-worker.
HCL_BENCH_SRCS := \
	tools/bench_local.c \
	tools/bench_options.c \
	tools/bench_report.c \
	tools/bench_run.c \
	tools/hcl-bench.c \
	backend/message.c \
	backend/share.c \
	backend/process.c
