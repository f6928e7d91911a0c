# What the scripts beside this one share. Sourced, not run.

# Ordinary users, and root after a plain `su`, often lack the sbin folders.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

say() { printf '%s\n' "setup: $*"; }
warn() { printf '%s\n' "setup: $*" >&2; }
die() {
  warn "$*"
  exit 3
}

# Runs a command as root, through sudo when need be. PATH goes along, since Node may be anywhere.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null 2>&1; then
    sudo -- env "PATH=$PATH" "$@"
  else
    die "this needs root: run it as root, or install sudo ($*)"
  fi
}
