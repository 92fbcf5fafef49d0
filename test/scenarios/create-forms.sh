# hcl is found in each form of xl create
# timeout: 90

standard_backend
start_watch
# A relative path, an assignment behind it, options before it.
cp "$guests_dir/1.cfg" /tmp/plain.cfg
cd /tmp || fail "cd"
xl create -q -f plain.cfg 'name="guest1"' 'hcl=["device=echo0"]' ||
    fail "xl create with an assignment"
wait_for 10 backend_state guest1 0 2
expect_equal "$(backend_node guest1 0 device)" echo0
destroy guest1

# Paused: there before the guest runs.
echo 'hcl = [ "device=rng0", "device=echo0" ]' >> plain.cfg
xl create -q -p plain.cfg || fail "xl create -p"
wait_for 10 backend_state guest1 1 2
xl unpause guest1
expect_equal "$(guest guest1 hclcat -n 4 rng0 | wc -c)" 4
destroy guest1

# Behind a descriptor: the file is still open in xl.
xl create -q /dev/fd/0 < plain.cfg || fail "xl create /dev/fd/0"
wait_for 10 backend_state guest1 1 2
destroy guest1

# A file that is gone before anybody can read it again: logged, with what to do.
stop_watch
xl create -q plain.cfg || fail "xl create"
rm plain.cfg
start_watch
logged() {
    grep -q 'guest1.*hclctl attach' "$log_dir/watch.log"
}
wait_for 10 logged
expect_equal "$(hclctl list)" ""
