# shellcheck shell=sh
# SPDX-License-Identifier: MIT
# Functions for scenarios: scripts that test HCL on a host with guests, with
# nothing but a POSIX shell and the guest command (test/xen/lab --help).  The
# same scripts run on real Xen and on the simulated host, which has an xl, too.
#
# A scenario ends at its first failure, by fail or by an expect_ function, or
# with exit 77 by skip. It may leave guests and daemons: they are ended, and
# nothing_left checks what remains of them.

# What differs between real Xen (test/xen/check) and the simulated host
# (test/sim/check): where the tests and the guests' configurations are, and the
# host's hardware.
# shellcheck disable=SC2034 # for scenarios
test_dir=${HCL_TEST_DIR:-/lib/hcl-test}
guests_dir=${HCL_TEST_GUESTS:-/guests}
rng=${HCL_TEST_RNG:-/dev/hwrng}
# Under a tool that makes programs slower, many runs are fewer.
slower=${HCL_TEST_SLOWER:-1}

log_dir=/run/hcl
config_dir=/run/hcl-test
mkdir -p "$log_dir" "$config_dir"

say() {
    printf '%s\n' "$*"
}

fail() {
    say "failed: $*"
    exit 1
}

skip() {
    say "skip: $*"
    exit 77
}

# expect_equal ACTUAL EXPECTED [WHAT]
expect_equal() {
    [ "$1" = "$2" ] || fail "${3:+$3: }got '$1', expected '$2'"
}

# expect_match TEXT REGEX [WHAT]: some line of TEXT matches the extended REGEX.
expect_match() {
    printf '%s\n' "$1" | grep -Eq -e "$2" ||
        fail "${3:+$3: }got '$1', expected a match of '$2'"
}

# expect_status STATUS COMMAND...
expect_status() {
    expect_status_wanted=$1
    shift
    expect_status_got=0
    "$@" || expect_status_got=$?
    expect_equal "$expect_status_got" "$expect_status_wanted" \
        "exit status of $*"
}

# holds_within SECONDS COMMAND...: until the command succeeds or time is up.
holds_within() {
    holds_within_end=$(($(cut -d . -f 1 /proc/uptime) + $1 * slower + 1))
    shift
    until "$@" > /dev/null 2>&1; do
        [ "$(cut -d . -f 1 /proc/uptime)" -lt "$holds_within_end" ] || return 1
        sleep 0.05
    done
}

# wait_for SECONDS COMMAND...: the same, or the scenario fails. Only for what
# no event tells of; guest waits for guests, start_backend for the backend.
wait_for() {
    holds_within "$@" || {
        wait_for_seconds=$1
        shift
        fail "not within $wait_for_seconds s: $*"
    }
}

# The host, here Xen's: only these functions know xl.

# create NAME [LINE...]: a guest with these lines added to its configuration.
# Returns when it has been created and, if hclctl watch runs, has its devices;
# guest waits until it is up.
create() {
    create_name=$1
    shift
    sed "s/^name = .*/name = \"$create_name\"/" "$guests_dir/1.cfg" \
        > "$config_dir/$create_name.cfg"
    [ $# = 0 ] || printf '%s\n' "$@" >> "$config_dir/$create_name.cfg"
    xl create -q "$config_dir/$create_name.cfg" > /dev/null ||
        xl create "$config_dir/$create_name.cfg" ||
        fail "cannot create $create_name"
    [ ! -e "$config_dir/watch.pid" ] ||
        wait_for 20 has_devices "$create_name" \
            "$(grep -o 'device=' "$config_dir/$create_name.cfg" | wc -l)"
}

# has_devices GUEST COUNT: it has so many that a backend has looked at.
has_devices() {
    has_devices_dir=/local/domain/0/backend/hcl/$(domid "$1")
    has_devices_count=0
    for has_devices_devid in $(xenstore-list "$has_devices_dir" 2> /dev/null)
    do
        has_devices_at=$has_devices_dir/$has_devices_devid
        if [ "$(xenstore-read "$has_devices_at/state")" != 1 ] ||
            [ -n "$(xenstore-read "$has_devices_at/error" 2> /dev/null)" ]; then
            has_devices_count=$((has_devices_count + 1))
        fi
    done
    [ "$has_devices_count" -ge "$2" ]
}

destroy() {
    xl destroy "$1" || fail "cannot destroy $1"
}

domid() {
    xl domid "$1" 2> /dev/null
}

has_other_domid() {
    has_other_domid_now=$(domid "$1") && [ "$has_other_domid_now" != "$2" ]
}

# reboot_guest NAME: returns when a new domain has taken the place of the old.
reboot_guest() {
    reboot_guest_old=$(domid "$1") || fail "there is no guest $1"
    xl reboot "$1" || fail "cannot reboot $1"
    wait_for 60 has_other_domid "$1" "$reboot_guest_old"
}

# save NAME FILE: ends the guest.
save() {
    xl save "$1" "$2" > /dev/null 2>&1 || fail "cannot save $1"
}

# restore FILE
restore() {
    xl restore "$1" > /dev/null 2>&1 || fail "cannot restore $1"
}

destroy_all() {
    for destroy_all_domid in $(xl list | awk 'NR > 1 && $2 > 0 { print $2 }')
    do
        xl destroy "$destroy_all_domid" > /dev/null 2>&1
    done
}

# What the host still keeps for guests, one thing a line; nothing is printed if
# there is nothing.
host_left() {
    xl list | awk 'NR > 1 && $2 > 0 { print "domain: " $0 }'
    xenstore-ls -f /local/domain 2> /dev/null |
        grep -E '/(backend|device)/hcl/' | sed 's/^/xenstore: /'
}

# Xen's grant tables: a line for each domain that has one and each active entry.
# The simulated host lists more than that; what the daemons have belongs to them.
grants() {
    if [ -n "${HCL_SIM:-}" ]; then
        hcl-sim audit | grep -v '^watch: domain 0 '
        return
    fi
    xl dmesg -c > /dev/null
    xl debug-keys g
    xl dmesg -c | sed -n '/^(XEN) .*grant-table/p; /^(XEN) *\[/p'
}

host_baseline() {
    grants > "$config_dir/grants.baseline"
}

# What is there in addition to what dom0 itself had after boot.
grants_left() {
    grants > "$config_dir/grants"
    awk 'NR == FNR { known[$0]; next } !($0 in known) { print "grant: " $0 }' \
        "$config_dir/grants.baseline" "$config_dir/grants"
}

# HCL's programs.

# start_daemon NAME COMMAND...: in the background, its output in NAME.log,
# until it says that it is ready.
start_daemon() {
    start_daemon_name=$1
    shift
    start_daemon_log=$log_dir/$start_daemon_name.log
    : > "$start_daemon_log"
    "$@" > "$start_daemon_log" 2>&1 < /dev/null &
    echo $! > "$config_dir/$start_daemon_name.pid"
    holds_within 20 ready_or_dead "$!" "$start_daemon_log"
    grep -Eq '(^|[: ])ready$' "$start_daemon_log" || {
        cat "$start_daemon_log"
        fail "$* is not ready"
    }
}

ready_or_dead() {
    grep -Eq '(^|[: ])ready$' "$2" || ! kill -0 "$1"
}

# stop_daemon NAME: with SIGTERM, after which it must exit with 0.
stop_daemon() {
    stop_daemon_pid=$(cat "$config_dir/$1.pid")
    rm "$config_dir/$1.pid"
    kill "$stop_daemon_pid" || fail "$1 has ended already"
    expect_status 0 wait "$stop_daemon_pid"
}

# start_backend CONFIGURATION
start_backend() {
    mkdir -p /etc/hcl
    printf '%s\n' "$1" > /etc/hcl/hcl.conf
    start_daemon backend hcl-backend
}

stop_backend() {
    stop_daemon backend
}

start_watch() {
    start_daemon watch hclctl watch
}

stop_watch() {
    stop_daemon watch
}

# For the runner: ends what a scenario has left, after its guests.
end_daemons() {
    killall -q hcl-backend hclctl hcl-frontend
    holds_within 5 no_daemons ||
        killall -q -9 hcl-backend hcl-worker hclctl hcl-frontend
    rm -f "$config_dir"/*.pid
}

no_daemons() {
    ! pidof hcl-backend hcl-worker hclctl hcl-frontend
}

# What is left once all guests have been destroyed, as text.
left() {
    host_left
    if command -v hclctl > /dev/null; then
        hclctl list 2> /dev/null | sed 's/^/hclctl list: /'
    fi
}

left_nothing() {
    left_now=$(left)
    [ -z "$left_now" ]
}

# For the runner: fails with a list of what is left after some seconds, during
# which domains die and daemons notice.
nothing_left() {
    # Xen prints its grant tables on its console, so they come last and once.
    if holds_within 5 left_nothing; then
        left_now=$(grants_left)
    fi
    [ -n "$left_now" ] || return 0
    say "left behind:"
    say "$left_now"
    return 1
}

# The devices of a host that most scenarios use, and how they look in xenstore.

# standard_backend: an RNG, a serial port at one end of a cable, an echo device;
# and the hotplug script, where that is not installed.
standard_backend() {
    start_backend "devices = [
  \"name=rng0,class=rng,path=$rng\",
  \"name=gps,class=serial,path=$(serial_port 0),baud=9600\",
  \"name=echo0,class=echo\",
]
${HCL_TEST_HOTPLUG:+hotplug = \"$HCL_TEST_HOTPLUG\"}"
}

# serial_port N: the Nth PCI serial port; a cable joins 0 and 1.
serial_port() {
    if [ -n "${HCL_TEST_SERIAL:-}" ]; then
        echo "$HCL_TEST_SERIAL$1"
        return
    fi
    for serial_port_tty in /sys/class/tty/ttyS*; do
        readlink -f "$serial_port_tty/device" | grep -q /pci &&
            echo "/dev/${serial_port_tty##*/}"
    done | sed -n "$(($1 + 1))p"
}

# feed_gps PORT: writes NMEA sentences to a serial port, for ever.
feed_gps() {
    stty -F "$1" 9600 raw -echo
    awk 'BEGIN {
        for (i = 1; i < 128; i++) code[sprintf("%c", i)] = i
        for (t = 0; ; t++) {
            s = sprintf("GPGGA,12%02d%02d,4807.%03d,N,01131.%03d,E,1,08,0.9," \
                "545.4,M,46.9,M,,", (t / 60) % 60, t % 60, t % 1000, t % 997)
            x = 0
            for (i = 1; i <= length(s); i++) x = xor(x, code[substr(s, i, 1)])
            printf "$%s*%02X\r\n", s, x
            fflush()
            system("sleep 0.2")
        }
    }' > "$1"
}

# backend_node GUEST DEVID NODE
backend_node() {
    xenstore-read "/local/domain/0/backend/hcl/$(domid "$1")/$2/$3" 2> /dev/null
}

# frontend_node GUEST DEVID NODE
frontend_node() {
    xenstore-read "/local/domain/$(domid "$1")/device/hcl/$2/$3" 2> /dev/null
}

# backend_state GUEST DEVID STATE
backend_state() {
    [ "$(backend_node "$1" "$2" state)" = "$3" ]
}

# start_reading GUEST DEVICE [PAUSE_US]: in the background, slowly and for ever,
# to /tmp/read there.
start_reading() {
    guest "$1" "hclcat $2 | while dd bs=512 count=1 of=/tmp/part 2> /dev/null &&
        [ -s /tmp/part ]; do
            cat /tmp/part >> /tmp/read
            usleep ${3:-20000}
        done" &
    # shellcheck disable=SC2034 # for scenarios
    start_reading_command=$!
    wait_for 20 has_read "$1" 0
}

# frontend_state GUEST DEVID STATE
frontend_state() {
    [ "$(frontend_node "$1" "$2" state)" = "$3" ]
}

# stock: what the backend's processes hold.
stock() {
    for stock_pid in $(pidof hcl-backend hcl-worker); do
        set -- "/proc/$stock_pid/fd/"*
        echo "$stock_pid: $# descriptors," \
            "$(grep -c memfd: "/proc/$stock_pid/maps") mappings"
    done
}

# has_read GUEST BYTES: its program has written more than that to /tmp/read.
has_read() {
    has_read_now=$(guest "$1" 'wc -c < /tmp/read') && [ "$has_read_now" -gt "$2" ]
}

# goes_on GUEST: it reads on.  Twice: the first bytes may have been on their way.
goes_on() {
    has_read "$1" 0
    wait_for 30 has_read "$1" "$has_read_now"
    wait_for 30 has_read "$1" "$has_read_now"
}

# start_paced GUEST: sends a line to echo0 every tenth of a second, for eight
# seconds, and keeps what comes back.  end_paced GUEST: it is the same.
start_paced() {
    guest "$1" 'i=0; while [ $i -lt 80 ]; do printf "line %03d\n" $i
        i=$((i + 1)); usleep 100000; done | tee /tmp/in |
        hclcat -w -n 720 echo0 > /tmp/out; echo $? > /tmp/status' &
    start_paced_command=$!
    wait_for 30 guest "$1" test -s /tmp/out
}

end_paced() {
    wait "$start_paced_command" || fail "the guest's command was lost"
    expect_equal "$(guest "$1" 'cat /tmp/status; wc -c < /tmp/in
        cmp /tmp/in /tmp/out && echo same')" "0
720
same" "status and data of the paced echo"
}

# xenstore_has PATH: yes or no.
xenstore_has() {
    if xenstore-ls "$1" > /dev/null 2>&1; then
        echo yes
    else
        echo no
    fi
}

kernel_log() {
    if [ -n "${HCL_SIM:-}" ]; then
        hcl-sim log "$1"
    else
        guest "$1" dmesg
    fi
}

# kernel_clean GUEST: its kernel has logged no bug and no warning.
kernel_clean() {
    kernel_clean_log=$(kernel_log "$1") || fail "the kernel log of $1"
    if printf '%s\n' "$kernel_clean_log" |
        grep -E 'BUG|WARNING|Oops|Call Trace'; then
        fail "the kernel of $1 has logged the above"
    fi
}
