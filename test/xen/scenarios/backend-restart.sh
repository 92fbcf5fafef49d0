# The backend stops and starts: guests' programs go on
# lab: --guests 2 --python --add test/xen/pyfrontend.py:/lib/hcl-test/pyfrontend.py --qemu "-device virtio-rng-pci -chardev socket,id=a,path=gps,server=on,wait=off -device pci-serial,chardev=a -chardev socket,id=b,path=gps -device pci-serial,chardev=b"
# timeout: 90

standard_backend
start_watch
create guest1 'hcl = [ "device=rng0", "device=gps" ]'
guest guest1 'hclcat -n 500000 rng0 > /tmp/read; echo $? > /tmp/status' &
reader=$!
wait_for 20 backend_state guest1 0 4
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
wait "$reader"
expect_equal "$(guest guest1 'cat /tmp/status; wc -c < /tmp/read')" "0
500000"

# child_of PARENT: the processes of rng0 with that parent.
child_of() {
    for child_of_pid in $(pidof hcl-worker); do
        if tr '\0' ' ' < "/proc/$child_of_pid/cmdline" | grep -q rng0 &&
            grep -qx "PPid:	$1" "/proc/$child_of_pid/status"; then
            echo "$child_of_pid"
        fi
    done
}

# survives_end_of PID WHAT: the process is killed while a guest reads, and the
# guest's program does not notice.
survives_end_of() {
    [ -n "$1" ] || fail "there is no $2"
    guest guest1 'hclcat -n 200000 rng0 > /tmp/read; echo $? > /tmp/status' &
    survives_reader=$!
    wait_for 20 backend_state guest1 0 4
    kill -9 "$1"
    wait "$survives_reader"
    expect_equal "$(guest guest1 'cat /tmp/status; wc -c < /tmp/read')" "0
200000" "a program, when the $2 was killed"
}

survives_end_of "$(child_of "$(pidof hcl-backend)")" "worker of rng0"
worker=$(child_of "$(pidof hcl-backend)")
survives_end_of "$(child_of "$worker")" "process that reads the RNG"
