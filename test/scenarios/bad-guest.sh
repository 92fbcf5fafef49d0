# What a guest may not have is refused with a reason; others go on
# timeout: 90

start_backend "devices = [
    \"name=rng0,class=rng,path=$rng,allow=guest2|nav-*\",
    \"name=missing,class=rng,path=/tmp/no-such\",
    \"name=echo0,class=echo\",
]"
start_watch
create guest1 \
    'hcl = [ "device=rng0", "device=nosuch", "device=missing", "device=echo0" ]'
create guest2 'hcl = [ "device=rng0", "devise=echo0", "device=echo0",
    "device=missing,colour=red" ]'

# Each has its own reason, and hclcat says it.
expect_equal "$(guest guest2 hclcat -n 3 rng0 | wc -c)" 3
wait_for 10 backend_state guest1 0 6
expect_match "$(backend_node guest1 0 error)" 'guest1.*allow'
expect_match "$(backend_node guest1 1 error)" 'nosuch.*rng0'
expect_match "$(backend_node guest1 2 error)" '/tmp/no-such.*No such file'
expect_equal "$(guest guest1 'echo hi | hclcat -w -n 3 echo0')" hi
status=0
message=$(guest guest1 hclcat -n 1 rng0 2>&1) || status=$?
expect_equal "$status" 3 "exit status of a refused guest"
expect_match "$message" 'allow'
expect_match "$(cat "$log_dir/backend.log")" 'no-such'

# The mistake in guest2's list is in the log, with its item; the rest is there.
expect_match "$(cat "$log_dir/watch.log")" 'guest2.*item 2.*devise'
expect_equal "$(guest guest2 'echo hi | hclcat -w -n 3 echo0')" hi
expect_match "$(hclctl list)" 'guest2 .* missing .* Closed .*colour'

# A device that appears later is taken without a restart.
ln -s "$rng" /tmp/no-such
wait_for 20 backend_state guest1 2 2
expect_equal "$(guest guest1 hclcat -n 3 missing | wc -c)" 3
rm /tmp/no-such

# A frontend of another version is refused, by name of the node.
guest guest1 'echo x | hclcat -w echo0'
wait_for 10 backend_state guest1 3 2
guest guest1 "xenstore-write device/hcl/3/version 9 \
    device/hcl/3/generation $(backend_node guest1 3 generation) \
    device/hcl/3/incarnation 00000000000000aa \
    device/hcl/3/control-ref 9 device/hcl/3/event-channel-0 9 \
    device/hcl/3/state 3"
wait_for 10 backend_state guest1 3 6
expect_match "$(backend_node guest1 3 error)" 'version'
expect_equal "$(guest guest1 'echo hi | hclcat -w -n 3 echo0')" hi
