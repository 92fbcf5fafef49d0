# Plain xl save -c, save and restore under load do no harm
# timeout: 90

standard_backend
start_watch
create guest1 'hcl = [ "device=rng0" ]'
wait_for 20 backend_state guest1 0 2
start_reading guest1 rng0
reading=$start_reading_command
# A checkpoint: nothing happens to the connection, nor when its program ends.
old=$(domid guest1)
xl save -c guest1 /tmp/checkpoint > /dev/null 2>&1 || fail "xl save -c"
rm /tmp/checkpoint
expect_equal "$(domid guest1)" "$old"
goes_on guest1
guest guest1 killall hclcat
wait_for 10 backend_state guest1 0 2
wait "$reading"
kernel_clean guest1

# The whole domain: it comes back under another id, with its program.  That
# runs on until the end: when it ends, Linux hits a bug (README, limits).
guest guest1 rm /tmp/read
start_reading guest1 rng0
save guest1 /tmp/guest1.save
restore /tmp/guest1.save
rm /tmp/guest1.save
has_other_domid guest1 "$old" || fail "no new domid"
wait_for 20 backend_state guest1 0 4
goes_on guest1
kernel_clean guest1
