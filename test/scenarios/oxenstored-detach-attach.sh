# With oxenstored: A guest loses a device and gets it back while the other goes on
# lab: --oxenstored
# hosts: xen
# timeout: 60

# shellcheck source=/dev/null
. "$test_dir/scenarios/detach-attach.sh"
