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

# kill_of DEVICE PARENT: kills the process of the device with that parent.
kill_of() {
    for kill_of_pid in $(pidof hcl-worker); do
        if tr '\0' ' ' < "/proc/$kill_of_pid/cmdline" | grep -q "$1" &&
            grep -qx "PPid:	$2" "/proc/$kill_of_pid/status"; then
            kill -9 "$kill_of_pid"
            echo "$kill_of_pid"
        fi
    done
}

# survives PROCESS PARENT: the process of rng0 with that parent is killed while a
# guest reads, and the guest's program does not notice.
survives() {
    guest guest1 'hclcat -n 200000 rng0 > /tmp/read; echo $? > /tmp/status' &
    survives_reader=$!
    wait_for 20 backend_state guest1 0 4
    survives_killed=$(kill_of "$1" "$2")
    [ -n "$survives_killed" ] || fail "there is no process $1 of rng0"
    wait "$survives_reader"
    expect_equal "$(guest guest1 'cat /tmp/status; wc -c < /tmp/read')" "0
200000" "a program whose $1 was killed"
}

# The worker; and the process that reads the device for it.
survives rng0 "$(pidof hcl-backend)"
for worker in $(pidof hcl-worker); do
    if tr '\0' ' ' < "/proc/$worker/cmdline" | grep -q rng0; then
        survives helper "$worker"
    fi
done
