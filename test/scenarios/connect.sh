# Two guests made with plain xl create use two devices at the same time
# timeout: 90

# What a host's administrator can hang in.
mkdir -p /etc/hcl/hotplug.d
printf '%s\n' '#!/bin/sh' 'echo "$@ $HCL_CLASS $HCL_DOMAIN" >> /run/hotplug' \
    > /etc/hcl/hotplug.d/test
chmod 755 /etc/hcl/hotplug.d/test
rm -f /run/hotplug

standard_backend
start_watch
create guest1 'hcl = [ "device=rng0", "device=gps" ]'
create guest2 'hcl = [ "device=rng0", "device=gps" ]'

# The guests see their devices, and the backend waits for them.
for name in guest1 guest2; do
    expect_equal "$(guest "$name" hclcat -l)" "rng0	rng	InitWait
gps	serial	InitWait" "hclcat -l in $name"
    expect_equal "$(backend_node "$name" 0 state)" 2
    expect_equal "$(backend_node "$name" 0 domain)" "$name"
    expect_equal "$(backend_node "$name" 0 class)" rng
    expect_equal "$(backend_node "$name" 1 class)" serial
done

# Both read random bytes, different ones, more than a ring or a pool holds.
read_much='hclcat -n 200000 rng0 > /tmp/rng; echo "status $?"; wc -c < /tmp/rng
    md5sum < /tmp/rng; gzip < /tmp/rng | wc -c'
guest guest1 "$read_much" > /tmp/rng1 &
first=$!
guest guest2 "$read_much" > /tmp/rng2 || fail "guest2"
wait "$first" || fail "guest1"
for name in 1 2; do
    expect_equal "$(sed -n 1,2p "/tmp/rng$name")" "status 0
200000" "guest$name"
    # Random bytes do not compress.
    [ "$(sed -n 4p "/tmp/rng$name")" -gt 199900 ] || fail "not random"
done
[ "$(sed -n 3p /tmp/rng1)" != "$(sed -n 3p /tmp/rng2)" ] ||
    fail "two guests got the same bytes"

# Both hear the serial port.
for name in guest1 guest2; do
    guest "$name" hclcat -t 40 -n 26 gps > "/tmp/heard.$name" &
    eval "heard_$name=$!"
done
for name in guest1 guest2; do
    wait_for 20 backend_state "$name" 1 4
    wait_for 20 frontend_state "$name" 1 4
done
say "abcdefghijklmnopqrstuvwxyz" > "$(serial_port 1)"
# shellcheck disable=SC2154 # set by eval
wait "$heard_guest1" || fail "hclcat gps in guest1"
# shellcheck disable=SC2154
wait "$heard_guest2" || fail "hclcat gps in guest2"
for name in guest1 guest2; do
    expect_equal "$(cat "/tmp/heard.$name")" abcdefghijklmnopqrstuvwxyz
    wait_for 10 backend_state "$name" 1 2
    wait_for 10 frontend_state "$name" 1 6
done

# Both write to it: each line arrives whole.
cat "$(serial_port 1)" > /tmp/written &
reader=$!
for name in guest1 guest2; do
    guest "$name" "yes $name-$name-$name-$name | head -n 20 | hclcat -w gps" &
    eval "writer_$name=$!"
done
# shellcheck disable=SC2154
wait "$writer_guest1" || fail "hclcat -w gps in guest1"
# shellcheck disable=SC2154
wait "$writer_guest2" || fail "hclcat -w gps in guest2"
both_written() {
    [ "$(wc -l < /tmp/written)" -ge 40 ]
}
wait_for 20 both_written
kill "$reader"
for name in guest1 guest2; do
    expect_equal "$(tr -d '\r' < /tmp/written |
        grep -c "^$name-$name-$name-$name$")" 20 "whole lines of $name"
done

# One process at a time holds an attachment; the second learns who.
guest guest1 hclcat rng0 > /dev/null &
wait_for 20 backend_state guest1 0 4
status=0
message=$(guest guest1 hclcat -n 1 rng0 2>&1) || status=$?
expect_equal "$status" 6
pid=$(guest guest1 pidof hclcat)
expect_match "$message" "in use.* $pid"
guest guest1 killall hclcat
wait_for 10 backend_state guest1 0 2

expect_equal "$(hclctl list --json | tr -d ' \n\t' | grep -o '"device"' |
    wc -l)" 4
one=$(domid guest1)
hotplug_ran() {
    grep -qx "$1 rng0 $one 0 rng guest1" /run/hotplug
}
wait_for 10 hotplug_ran connect
wait_for 10 hotplug_ran disconnect
rm /etc/hcl/hotplug.d/test
