# A guest loses a device and gets it back while the other goes on
# timeout: 60

standard_backend
start_watch
create guest1 'hcl = [ "device=rng0" ]'
create guest2 'hcl = [ "device=rng0" ]'
wait_for 20 backend_state guest1 0 2
wait_for 20 backend_state guest2 0 2
start_reading guest2 rng0
program=$(guest guest2 pidof hclcat)

# Detached while a program reads: the program is told, promptly.
guest guest1 hclcat rng0 > /dev/null 2> /tmp/err &
reader=$!
wait_for 20 backend_state guest1 0 4
one=$(domid guest1)
hclctl detach guest1 rng0 || fail "hclctl detach"
expect_status 5 wait "$reader"
expect_match "$(cat /tmp/err)" '^hclcat: rng0: '
expect_equal "$(xenstore_has "/local/domain/0/backend/hcl/$one")" no
expect_equal "$(xenstore_has "/local/domain/$one/device/hcl/0")" no
expect_equal "$(guest guest1 hclcat -l)" ""
expect_status 2 guest guest1 hclcat -n 1 rng0 2> /dev/null

hclctl attach guest1 device=rng0 || fail "hclctl attach"
expect_equal "$(guest guest1 hclcat -n 5 rng0 | wc -c)" 5
# Twice is refused, and changes nothing.
status=0
message=$(hclctl attach guest1 device=rng0 2>&1) || status=$?
[ "$status" != 0 ] || fail "a second attach was accepted"
expect_match "$message" 'rng0'
expect_equal "$(hclctl list | grep -c rng0)" 2

# The other guest reads on, with the same program, never disconnected.
goes_on guest2
expect_equal "$(guest guest2 pidof hclcat)" "$program"
