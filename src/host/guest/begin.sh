# The part of testbed that lives in a guest: starts steps detached, follows their logs, collects files. It is put there
# anew with each connection and asks for a POSIX shell, setsid, mkfifo, dd, find, sort, xargs, tar and a sleep that
# takes fractions, as coreutils or busybox have them, and for a kernel that counts what a process writes.
#
#     sh STATE/runner LOGS COMMAND [ARGUMENTS]
#
# STATE (memory) has a few small files per step, 1.run, 1.pid, 1.exit and so on, and the first half mebibyte of its log,
# since a step that fills the disk has something to say about it. The rest of a log is in LOGS (disk), so that what a step
# prints does not use up a small guest's memory and a full disk does not lose an exit status.
#
# A process costs an emulated guest 5 to 15 ms, so there are as few as can be, and what each command needs stands before
# what it does not: a shell reads only as far as it runs.
state=${0%/*}
logs=$1

# The step itself. The variables that env sets may be called anything, so nothing after it may use one of ours.
if [ "$2" = launch ]; then
	echo $$ 1<>"$3.pid"
	unset state logs SSH_CLIENT SSH_CONNECTION SSH_TTY
	cd || cd /
	unset OLDPWD
	. "$4.env"
	exec /bin/sh "$4.run"
fi

command=$2
shift 2
umask 077

# What is written once a step runs has room from the start, since a step may fill the memory: a byte without a line break,
# and a file that is written in place (1<>) needs no second page. So a line that can be read is one that was written.
reserve() { # DIR
	for name in started pid copier keeper dd more how reason total exit; do
		printf ' ' >"$1.$name" || return
	done
}

# How many bytes a process has written, and those it has waited for.
wrote() { # PID
	bytes=
	# To its end: bash takes what it has read ahead of one file for the beginning of the next.
	while read -r key value; do
		[ "$key" != wchar: ] || bytes=$value
	done 2>/dev/null <"/proc/$1/io"
}

# Waits until the image says that its start-up is over, then names this boot of the guest.
if [ "$command" = settle ]; then
	wrote self
	if [ -z "$bytes" ]; then
		echo "the guest's kernel does not count what a process writes (CONFIG_TASK_IO_ACCOUNTING)" >&2
		exit 75
	fi
	tries=0
	until [ -e "$1" ]; do
		if [ "$tries" -lt 100 ]; then sleep 0.02; else sleep 0.1; fi
		tries=$((tries + 1))
	done
	read -r boot </proc/sys/kernel/random/boot_id
	echo "$boot"
	exit
fi

