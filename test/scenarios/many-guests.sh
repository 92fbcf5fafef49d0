# 64 guests share two devices at the same time
# hosts: sim
# timeout: 120

start_backend "devices = [ \"name=rng0,class=rng,path=$rng\",
    \"name=echo0,class=echo\" ]"
start_watch

# each COMMAND...: with the name of each guest.
each() {
    each_number=1
    while [ "$each_number" -le 64 ]; do
        "$@" "guest$each_number"
        each_number=$((each_number + 1))
    done
}

create_one() {
    create "$1" 'hcl = [ "device=rng0", "device=echo0" ]'
}
each create_one

# All hold the RNG at once and read slowly; each has its own name echoed.
start_one() {
    wait_for 20 backend_state "$1" 1 2
    start_reading "$1" rng0 500000
    guest "$1" 'printf %-20s "$NAME" | hclcat -t 60 -w -n 20 echo0' \
        > "/tmp/echo.$1" &
}
each start_one
check_one() {
    wait_for 60 backend_state "$1" 0 4
    wait_for 60 has_read "$1" 1024
    wait_for 60 backend_state "$1" 1 2
    expect_equal "$(cat "/tmp/echo.$1")" "$(printf %-20s "$1")"
    guest "$1" 'head -c 1024 /tmp/read | md5sum' >> /tmp/sums
}
each check_one
expect_equal "$(sort -u /tmp/sums | wc -l)" 64 "different bytes"
expect_equal "$(hclctl list | grep -c ' rng0 .*Connected')" 64

# Half of them are destroyed while they read, the others go on.
destroy_odd() {
    case $1 in
    *[13579]) destroy "$1" ;;
    esac
}
each destroy_odd
goes_on guest2
goes_on guest64
