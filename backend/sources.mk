# The two programs: what is theirs alone, paths from the root, without common/.
# Files named *_main.c have main and are in no test.

# The control plane; needs common/config.c (libxlutil) besides libhclcommon.
HCL_BACKEND_SRCS := \
	backend/supervisor_main.c \
	backend/attachment.c \
	backend/attachment_admit.c \
	backend/attachment_nodes.c \
	backend/device_config.c \
	backend/device_list.c \
	backend/hotplug.c \
	backend/keeper.c \
	backend/message.c \
	backend/offer.c \
	backend/process.c \
	backend/run_lock.c \
	backend/settings.c \
	backend/share.c \
	backend/supervisor.c \
	backend/watch_path.c

# The data plane; must link neither libxenstore nor libxlutil.
HCL_WORKER_SRCS := \
	backend/worker_main.c \
	backend/bounce.c \
	backend/class_table.c \
	backend/connection.c \
	backend/device.c \
	backend/device_config.c \
	backend/fault.c \
	backend/guest.c \
	backend/helper.c \
	backend/job.c \
	backend/message.c \
	backend/request.c \
	backend/scheduler.c \
	backend/share.c \
	backend/worker.c \
	$(sort $(wildcard backend/class/*.c))
