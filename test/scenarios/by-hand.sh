# hclctl create, the scripts, and a frontend in Python
# timeout: 90

standard_backend
cp "$guests_dir/1.cfg" /tmp/one.cfg
echo 'hcl = [ "device=rng0" ]' >> /tmp/one.cfg
hclctl create /tmp/one.cfg 'name="guest1"' || fail "hclctl create"
wait_for 10 backend_state guest1 0 2
expect_equal "$(guest guest1 hclcat -n 4 rng0 | wc -c)" 4

# A frontend that shares no code with libhcl.
expect_match "$(guest guest1 \
    python3 "$test_dir/pyfrontend.py" rng0 3000 30 2>&1)" '^ok: 3000 bytes'
wait_for 10 backend_state guest1 0 2

# The same as hclctl does, with nothing but the xenstore tools.
one=$(domid guest1)
hcl-attach "$one" echo0 || fail "hcl-attach"
wait_for 10 backend_state guest1 1 2
expect_equal "$(guest guest1 'echo hi | hclcat -w -n 3 echo0')" hi
# Each side owns what it writes, and reads the other's; nobody else does.
expect_match "$(xenstore-ls -p "/local/domain/0/backend/hcl/$one/1")" \
    "^state = .*\(n0,r$one\)"
expect_match "$(xenstore-ls -p "/local/domain/$one/device/hcl/1")" \
    "^state = .*\(n$one,r0\)"
expect_match "$(hcl-ls)" 'echo0'
hcl-detach "$one" 1 || fail "hcl-detach"
expect_equal "$(xenstore_has "/local/domain/0/backend/hcl/$one/1")" no
expect_equal "$(guest guest1 hclcat -l | cut -f 1)" rng0

# Everything goes without hclctl watch, too.
hclctl detach guest1 rng0 || fail "hclctl detach"
expect_equal "$(hclctl list)" ""
stop_backend
