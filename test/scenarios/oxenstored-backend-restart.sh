# With oxenstored: The backend stops and starts: guests' programs go on
# lab: --oxenstored
# hosts: xen
# timeout: 90

# shellcheck source=/dev/null
. "$test_dir/scenarios/backend-restart.sh"
