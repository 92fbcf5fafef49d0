# With oxenstored: Two guests made with plain xl create use two devices at the same time
# lab: --oxenstored
# hosts: xen
# timeout: 90

# shellcheck source=/dev/null
. "$test_dir/scenarios/connect.sh"
