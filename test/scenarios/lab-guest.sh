# The lab runs commands in guests and says how they ended
# hosts: xen
# timeout: 60

create one
create two

# Output, error output and status are the command's own.
expect_status 7 guest one 'echo out; echo err >&2; exit 7' \
    > "$config_dir/out" 2> "$config_dir/err"
expect_equal "$(cat "$config_dir/out")" out
expect_equal "$(cat "$config_dir/err")" err
expect_equal "$(guest one echo 'a  b' '*')" 'a  b *' "arguments as they stand"
expect_equal "$(guest one 'echo $NAME'; guest two 'echo $NAME')" "one
two" "names in the guests"
expect_status 143 guest one 'kill -TERM $$'
expect_status 127 guest one no-such-command x 2> /dev/null

# All bytes arrive, many of them, while other commands run.
guest one 'dd if=/dev/urandom of=/tmp/r bs=64k count=4 2> /dev/null'
guest two 'cat; while :; do echo noise; usleep 1000; done' \
    > "$config_dir/noise" &
noise=$!
guest one cat /tmp/r > "$config_dir/r1" &
first=$!
guest one cat /tmp/r > "$config_dir/r2" || fail "cat in a guest"
wait "$first" || fail "cat in the background"
sum=$(guest one md5sum < /dev/null /tmp/r | cut -d ' ' -f 1)
for copy in r1 r2; do
    expect_equal "$(md5sum < "$config_dir/$copy" | cut -d ' ' -f 1)" "$sum" \
        "sum of $copy"
done

# A client that is killed takes its command with it.
guest one 'sleep 1000' &
client=$!
wait_for 10 guest one pidof sleep
kill "$client"
wait_for 10 guest one '! pidof sleep'

# What a command leaves running does not keep it from ending.
expect_equal "$(guest one 'sleep 1000 & echo done')" "done"

# The kernel's messages do not break anything.
guest one 'for i in 1 2 3 4 5; do echo "message $i" > /dev/kmsg; done; echo x' \
    > "$config_dir/out"
expect_equal "$(cat "$config_dir/out")" x

# The end of a guest is the end of its commands.
destroy two
expect_status 250 wait "$noise"
[ -s "$config_dir/noise" ] || fail "no output before the guest's end"
expect_status 251 guest -t 1 two true 2> /dev/null
