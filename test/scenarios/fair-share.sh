# Two guests get a device's time by their weights; a flood holds nobody up
# hosts: sim
# timeout: 60

# A request takes 1 ms; one of 64 KiB 10 ms.
start_backend 'devices = [
    "name=weights,class=delay,job-us=1000,weight=guest1:300|guest2:100",
    "name=flood,class=delay,job-us=1000,kib-ns=140000",
    "name=capped,class=delay,job-us=0,max-requests-per-s=guest2:100",
]'
start_watch
devices='hcl = [ "device=weights", "device=flood", "device=capped" ]'
create guest1 "$devices"
create guest2 "$devices"

has_done() {
    [ "$(guest guest2 'wc -l < /tmp/done')" -ge "$1" ]
}

# against DEVICE BYTES COUNT: how many writes of so many BYTES guest2 gets done
# while guest1 gets COUNT short ones done.  Both have as many waiting as fit.
against() {
    guest guest2 "load $1 60 $2 1000000 > /tmp/done" &
    against_pid=$!
    wait_for 20 has_done 1
    guest guest1 "load $1 60 64 $3" > /tmp/done.guest1 || fail "load in guest1"
    guest guest2 'cat /tmp/done' > /tmp/done.guest2
    guest guest2 killall load
    wait "$against_pid"
    expect_equal "$(wc -l < /tmp/done.guest1)" "$3" "completions of guest1"
    awk -v from="$(head -n 1 /tmp/done.guest1)" \
        -v to="$(tail -n 1 /tmp/done.guest1)" \
        '$1 >= from && $1 <= to { n++ } END { print n + 0 }' /tmp/done.guest2
}

# 3 to 1.
others=$(against weights 64 600) || fail "$others"
say "by weights 3 to 1: 600 to $others"
if [ "$others" -lt 185 ] || [ "$others" -gt 215 ]; then
    fail "$others of guest2 while 600 of guest1, which has three times the weight"
fi

# Half of the time for each: 30 long ones take as long as 300 short ones.
others=$(against flood 65536 300) || fail "$others"
say "against a flood of requests 10 times as long: 300 to $others"
if [ "$others" -lt 27 ] || [ "$others" -gt 34 ]; then
    fail "$others of guest2, ten times as long, while 300 of guest1"
fi

# A cap holds for the guest that has it, whether the device is idle or not: what
# 200 requests take at 100 a second, less the tenth of a second that may come at
# once.
guest guest2 'load capped 60 64 200' > /tmp/done.guest2 || fail "load in guest2"
took=$(($(tail -n 1 /tmp/done.guest2) - $(head -n 1 /tmp/done.guest2)))
[ "$took" -ge 1800000 ] || fail "200 requests at 100 a second in $took us"
guest guest1 'load capped 60 64 200' > /tmp/done.guest1 || fail "load in guest1"
stop_backend
expect_match "$(cat "$log_dir/backend.log")" \
    'capped: guest guest2 .*disconnected.* stopped it [1-9][0-9]* times'
expect_match "$(cat "$log_dir/backend.log")" \
    'capped: guest guest1 .*disconnected.* stopped it 0 times'
