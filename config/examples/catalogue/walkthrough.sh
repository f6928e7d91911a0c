#!/bin/sh
# A catalogue of images, from making one to pruning what it brought: published, signed, served, followed, tried out, used and
# pruned, all on this machine. As root:
#
#   config/examples/catalogue/walkthrough.sh [FOLDER]
#
# All that it makes, images and machines too, lies in FOLDER (a new one below /var/tmp unless it is named) and is gone when it
# ends; what this host has otherwise is left alone. Needs what testbed needs, and Debian's packages minisign and openssl. About a minute
# where machines are emulated.
set -eu

here=$(dirname -- "$(readlink -f -- "$0")")
root=$(readlink -f -- "$here/../../..")
command -v testbed >/dev/null || PATH=$root/bin:$PATH

die() { echo "walkthrough: $*" >&2; exit 3; }
[ "$(id -u)" -eq 0 ] || die "machines are root's: run this as root"
for program in minisign openssl virsh; do
  command -v "$program" >/dev/null || die "$program is missing"
done

# Not below /tmp, and not 0700: QEMU runs as a user of its own, and has to get at the images.
scratch=$(readlink -f -- "${1:-$(mktemp -d /var/tmp/testbed-walkthrough.XXXXXX)}")
[ -z "$(ls -A "$scratch" 2>/dev/null)" ] || die "$scratch is not empty"
mkdir -p "$scratch"
chmod 755 "$scratch"

server=
clean_up() {
  set +e
  [ -z "$server" ] || kill "$server"
  # Networks and a firewall that nobody would use again.
  installation=$(cut -c 1-8 "$scratch/state/installation" 2>/dev/null)
  if [ -n "$installation" ]; then
    for network in $(virsh -q net-list --all --name | grep "^testbed-$installation-"); do
      virsh -q net-destroy "$network"
      virsh -q net-undefine "$network"
    done >/dev/null
    nft delete table inet "testbed_$installation" 2>/dev/null
  fi
  rm -rf -- "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

exec 3>&1
chapter() { printf '\n\n== %s\n' "$*" >&3; }
# Shows a command, and runs it.
try() {
  printf '\n$ %s\n' "$*" >&3
  "$@"
}

cd "$scratch"
export TESTBED_STATE="$scratch/state"


chapter "1. Publish: an image of this host becomes lab-micro, version 1"

try testbed image build micro
try testbed image export micro --to site --as lab-micro --version 1 --compress zstd

# Once: a key. Its secret half stays with who publishes, hosts are told its public half. -W: without a password.
try minisign -G -W -p images.pub -s images.key >/dev/null

# Makes site/catalogue.json, and prints the command that signs it; that is run here as it stands.
sign() {
  try testbed image sign site --key images.key >signing.txt
  cat signing.txt
  command=$(sed -n 's/^ *\(minisign -S .*\)/\1/p' signing.txt)
  printf '\n$ %s\n' "$command"
  sh -c "$command"
}
sign


chapter "2. Serve: plain files over HTTPS, by any web server"

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=walkthrough \
  -addext subjectAltName=IP:127.0.0.1 -keyout tls.key -out tls.pem 2>/dev/null
"$root/bin/testbed-node" "$here/serve.mjs" site tls.pem tls.key >address.txt &
server=$!
until [ -s address.txt ]; do
  kill -0 "$server" || die "the server did not start"
  sleep 0.1
done

# What a host is told, in /etc/testbed/images.yaml otherwise: where the catalogue is, and whom to believe. ca is for a
# certificate that the system does not trust, and addresses of the host itself have to be allowed.
cat >images.yaml <<END
catalogues:
  - url: $(cat address.txt)/catalogue.json
    keys: [$(tail -n 1 images.pub)]
    ca: $scratch/tls.pem
    allowAddresses: [127.0.0.0/8]
END
export TESTBED_IMAGES="$scratch/images.yaml"
try cat images.yaml
try testbed check-config images images.yaml >/dev/null


chapter "3. Follow: signature, download, inspection, a machine that has to boot; then the name means it"

try testbed image refresh lab-micro
try testbed image list
try testbed image show lab-micro
try testbed image verify lab-micro


chapter "4. Use: a job in a machine of lab-micro"

cat >job.yaml <<'END'
image: lab-micro
timeout: 5m
steps:
  - { name: hello, run: 'echo "hello from $(hostname), Linux $(uname -r)"' }
END
try testbed run job.yaml --results results-1


chapter "5. Version 2 by hand: fetched, and meant when a machine of it has booted"

# The versions differ in nothing but their name here; yours would.
try testbed image export micro --to site --as lab-micro --version 2 --compress zstd
sign
try testbed image fetch lab-micro:2
try testbed image smoke lab-micro:2


chapter "6. Version 3 by a refresh, as the daemon does it each night"

try testbed image export micro --to site --as lab-micro --version 3 --compress zstd
sign
try testbed image refresh
try testbed image list


chapter "7. Prune: version 1 goes, and the others stay, each for a reason"

# What was used within ten minutes stays in any case, so version 1 is made to look old.
old=$(testbed image show lab-micro:1 --json | sed -n 's/^  "digest": "\(.*\)",$/\1/p')
find "state/images/$old" "state/images/facts/$old" -exec touch -d '40 days ago' {} +
try testbed image prune --older-than 30d --dry-run
try testbed image prune --older-than 30d


chapter "8. A catalogue that somebody altered, or did not sign, is refused; jobs go on with what was good"

refused() {
  status=0
  try testbed image refresh || status=$?
  [ "$status" -eq 3 ] || die "the refresh ended with exit status $status, not 3"
}
cp site/catalogue.json good.json
printf ' ' >>site/catalogue.json
refused
mv good.json site/catalogue.json
mv site/catalogue.json.minisig good.minisig
refused
try testbed run job.yaml --results results-2
mv good.minisig site/catalogue.json.minisig
try testbed image refresh


chapter "9. Without any catalogue: an image that is carried as a folder"

try testbed image export lab-micro --to carried --as carried-micro
try testbed image import carried/carried-micro/3
try testbed image verify

printf '\nwalkthrough: all went well\n'
