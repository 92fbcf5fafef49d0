# The lab's guests can be reached after reboot, save and restore
# hosts: xen
# timeout: 90

create one

expect_equal "$(guest one 'touch /tmp/here; echo up')" up
reboot_guest one
expect_status 1 guest one test -e /tmp/here

# A command outlives the save of its guest.
guest one 'for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 1; done' \
    > "$config_dir/out" &
command=$!
wait_for 10 test -s "$config_dir/out"
old=$(domid one)
save one "$config_dir/one.save"
expect_equal "$(domid one)" "" "domid of a saved guest"
restore "$config_dir/one.save"
has_other_domid one "$old" || fail "the restored guest has its old domid"
expect_equal "$(guest one 'echo up')" up
expect_status 0 wait "$command"
expect_equal "$(tr '\n' ' ' < "$config_dir/out")" "1 2 3 4 5 6 7 8 "

# A guest that ends by itself is gone as well.
expect_status 250 guest one 'poweroff; sleep 100' 2> /dev/null
