# A rebooted guest has its devices again
# timeout: 90

standard_backend
start_watch
create guest1 'hcl = [ "device=rng0", "device=gps" ]'
wait_for 20 backend_state guest1 1 2
expect_equal "$(guest guest1 hclcat -n 3 rng0 | wc -c)" 3
guest guest1 hclcat rng0 > /dev/null &
wait_for 20 backend_state guest1 0 4
old=$(domid guest1)
reboot_guest guest1
wait_for 20 backend_state guest1 0 2
wait_for 20 backend_state guest1 1 2
expect_equal "$(guest guest1 hclcat -l | cut -f 1 | tr '\n' ' ')" "rng0 gps "
expect_equal "$(guest guest1 hclcat -n 3 rng0 | wc -c)" 3
expect_equal "$(xenstore_has "/local/domain/0/backend/hcl/$old")" no
