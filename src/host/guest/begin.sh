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
# The files of a step, each STATE/NUMBER.name. The guest's end removes them, and nobody earlier.
#
#     env, run   step        its environment as shell, and its text; with .PID before the name where two connections began it at
#                            once, of which only one goes on
#     sent       step        what dd said when it took the text
#     lock       step        empty: somebody has started the step, and nobody else may
#     head       capture     a line break, then the log's beginning; emptied by the next step's forget, as is the rest on the disk
#     out, mid   supervise   pipes: what the step prints, and what of it goes on to the disk
#     started    supervise   its process, which lives until exit is written
#     pid        launch      the step's process, which leads the group that stop ends
#     copier     copy        the dd that takes the output now
#     dd         copy        what that dd says when it ends; blanked before the next
#     keeper     keep        the cat that writes the rest of the log
#     more       capture     where that rest is
#     log        capture     that rest, where LOGS takes no file
#     cut        capture     empty: the log grows no more, although the step goes on
#     how        supervise   what the shell said of a signal that ended the step
#     reason     stop        why the step was ended: timed-out, silent or cancelled
#     total      capture     how many bytes the step printed, or `lost`; there once its output has ended
#     exit       supervise   how the step ended: the line that follow passes on. What a step leaves
#                            running is copied and counted even after it
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

# Reads into `got` what was written over a reserved byte; false while nothing was. A shell reads byte by byte, so the line may come
# after its first byte was read, which was the reserved one then: that line is read again.
get() { # FILE
	IFS= read -r got <"$1" || return
	case $got in
	' '*) IFS= read -r got <"$1" ;;
	esac
}

# How many bytes a process has written, and those it has waited for.
wrote() { # PID
	wchar=
	# To its end: bash takes what it has read ahead of one file for the beginning of the next.
	while read -r key value; do
		[ "$key" != wchar: ] || wchar=$value
	done 2>/dev/null <"/proc/$1/io"
}

# Waits until the image says that its start-up is over, then names this boot of the guest.
if [ "$command" = settle ]; then
	wrote self
	if [ -z "$wchar" ]; then
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

