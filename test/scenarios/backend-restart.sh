# The backend stops and starts: guests' programs go on
# timeout: 90

standard_backend
start_watch
create guest1 'hcl = [ "device=rng0", "device=gps", "device=echo0" ]'
wait_for 20 backend_state guest1 2 2
start_reading guest1 rng0
start_paced guest1
generation=$(backend_node guest1 0 generation)
stop_backend
expect_equal "$(backend_node guest1 0 state)" 1
expect_equal "$(backend_node guest1 1 state)" 1
expect_match "$(backend_node guest1 0 error)" 'stopped'
no_programs() {
    ! pidof hcl-worker hcl-backend
}
no_programs || fail "a program of the backend runs on"
standard_backend
wait_for 20 backend_state guest1 0 4
[ "$(backend_node guest1 0 generation)" != "$generation" ] ||
    fail "two lives of the backend have one generation"
end_paced guest1
goes_on guest1

# child_of PARENT: the process of rng0 with that parent.
child_of() {
    for child_of_pid in $(pidof hcl-worker); do
        if tr '\0' ' ' < "/proc/$child_of_pid/cmdline" | grep -q rng0 &&
            grep -qx "PPid:	$1" "/proc/$child_of_pid/status"; then
            echo "$child_of_pid"
        fi
    done
}

# Killed: the worker, and the process that reads the device for it.
program=$(guest guest1 pidof hclcat)
for what in worker helper; do
    parent=$(pidof hcl-backend)
    [ "$what" = worker ] || parent=$(child_of "$parent")
    victim=$(child_of "$parent")
    [ -n "$victim" ] || fail "rng0 has no $what"
    kill -9 "$victim"
    goes_on guest1
done
expect_equal "$(guest guest1 pidof hclcat)" "$program"
