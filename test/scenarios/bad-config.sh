# Mistakes in hcl.conf get a message that helps
# timeout: 60

mkdir -p /etc/hcl
# refused CONFIGURATION REGEX...: hcl-backend ends with 1 and says so.
refused() {
    printf '%s\n' "$1" > /etc/hcl/hcl.conf
    refused_status=0
    refused_text=$(timeout 10 hcl-backend 2>&1) || refused_status=$?
    expect_equal "$refused_status" 1 "exit status for $1"
    shift
    for refused_regex in "$@"; do
        expect_match "$refused_text" "$refused_regex"
    done
}
refused 'devices = [ "name=a,class=echo"' 'hcl.conf:'
refused 'device = [ "name=a,class=echo" ]' 'hcl.conf' 'devices ='
refused 'devices = "name=a,class=echo"' 'hcl.conf' 'list'
refused 'devices = [ "name=a,class=echo", "class=rng" ]' 'item 2' 'name'
refused 'devices = [ "name=a" ]' 'item 1' 'class'
refused 'devices = [ "name=a,class=nosuch" ]' 'nosuch' 'echo' 'rng'
refused 'devices = [ "name=a,class=echo", "name=a,class=rng" ]' 'item 2' \
    '(twice|two|already)'
refused 'devices = [ "name=a,class=echo,pat=/dev/x" ]' 'pat' 'item 1'
refused 'devices = [ "name=a,class=serial,path=/dev/null,baud=9601" ]' 'baud' \
    '9601'
refused 'devices = [ "name=a b,class=echo" ]' 'item 1' 'name'
refused 'devices = [ "name=a,class=echo,max-handles=zero" ]' 'max-handles'
rm /etc/hcl/hcl.conf
status=0
text=$(hcl-backend 2>&1) || status=$?
expect_equal "$status" 1
expect_match "$text" '/etc/hcl/hcl.conf.*No such file'

# A second daemon is told about the first.
start_backend 'devices = [ "name=e,class=echo" ]'
status=0
text=$(hcl-backend 2>&1) || status=$?
expect_equal "$status" 1
expect_match "$text" "$(pidof hcl-backend)"
stop_backend
