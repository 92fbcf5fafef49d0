# hclctl save and restore: programs in the guest go on
# timeout: 90

standard_backend
start_watch
create guest1 'hcl = [ "device=rng0", "device=echo0" ]'
wait_for 20 backend_state guest1 1 2
start_reading guest1 rng0
start_paced guest1
# A save that fails changes nothing.
expect_status 2 hclctl save guest1 /nowhere/guest1.save
goes_on guest1
hclctl save guest1 /tmp/guest1.save || fail "hclctl save"
expect_equal "$(domid guest1)" ""
hclctl restore /tmp/guest1.save || fail "hclctl restore"
rm /tmp/guest1.save
end_paced guest1
goes_on guest1
# Released before the save, so the programs may also end.
guest guest1 killall hclcat
wait_for 10 backend_state guest1 0 2
expect_equal "$(guest guest1 hclcat -n 3 rng0 | wc -c)" 3
kernel_clean guest1
