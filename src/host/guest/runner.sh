# The part of testbed that lives in a guest: starts steps detached, follows their logs, collects files. It is put there
# anew with each connection and asks for a POSIX shell, setsid, mkfifo, tee, find, sort, xargs, tar and a sleep that takes
# fractions, as coreutils or busybox have them.
#
#     sh STATE/runner LOGS COMMAND [ARGUMENTS]
#
# STATE (memory) has a folder per step: env, run, pid, exit. LOGS (disk) has a log file per step, so that what a step
# prints does not use up a small guest's memory and a full disk does not lose an exit status.
state=${0%/*}
logs=$1

# The step itself, first in the file so that a slow guest need not read the rest. The variables that env sets may be
# called anything, so nothing after it may use one of ours.
if [ "$2" = launch ]; then
	echo $$ >"$3/pid"
	unset state logs SSH_CLIENT SSH_CONNECTION SSH_TTY
	cd || cd /
	unset OLDPWD
	. "$3/env"
	exec /bin/sh "$3/run"
fi

command=$2
shift 2
umask 077

# Waits until the image says that its start-up is over, then names this boot of the guest.
settle() { # FILE
	tries=0
	until [ -e "$1" ]; do
		if [ "$tries" -lt 100 ]; then sleep 0.02; else sleep 0.1; fi
		tries=$((tries + 1))
	done
	cat /proc/sys/kernel/random/boot_id
}

# Monotonic hundredths of a second.
now() {
	read -r now _ </proc/uptime
	now=${now%.*}${now#*.}
}

# How many bytes the step has printed, or a number that grows with it; also after the log is cut.
printed() {
	bytes=
	# To its end: bash takes what it has read ahead of one file for the beginning of the next.
	while read -r key value; do
		[ "$key" != wchar: ] || bytes=$value
	done 2>/dev/null <"/proc/$writer/io"
	# A kernel without I/O accounting, or a writer that has ended.
	[ -n "$bytes" ] || bytes=$(wc -c 2>/dev/null <"$log")
}

# Starts a step unless it was started before, then follows it. Standard input: ENV_LINES lines of shell that export the
# environment, then RUN_BYTES bytes of the step's text.
step() { # NUMBER OFFSET LOG_BLOCKS TIMEOUT SILENCE ENV_LINES RUN_BYTES
	dir=$state/$1
	if ! [ -d "$dir" ]; then
		fresh=$dir.$$
		mkdir "$fresh" || exit 70
		lines=0
		while [ "$lines" -lt "$6" ]; do
			IFS= read -r line || exit 71
			printf '%s\n' "$line"
			lines=$((lines + 1))
		done >"$fresh/env"
		cat >"$fresh/run"
		# A connection that was cut must not start half a step.
		if [ "$(wc -c <"$fresh/run")" -ne "$7" ]; then
			rm -rf "$fresh"
			exit 71
		fi
		# The folder is the lock: of two that try, one starts it.
		if mkdir "$dir" 2>/dev/null; then
			mv "$fresh/env" "$fresh/run" "$dir"
			setsid sh "$0" "$logs" supervise "$dir" "$3" "$4" "$5" </dev/null >/dev/null 2>&1 &
		fi
		rm -rf "$fresh"
	fi
	follow "$dir" "$2"
}

supervise() { # DIR LOG_BLOCKS TIMEOUT SILENCE
	dir=$1
	log=$logs/${dir##*/}
	mkdir -p "$logs" 2>/dev/null
	{ : >"$log"; } 2>/dev/null || log=$dir/log
	mkfifo "$dir/out" "$dir/mid" "$dir/sum"
	# tee writes at once, and past its limit (or on a full disk) it goes on swallowing, so the step never notices; wc
	# counts everything. The first half mebibyte is also kept in memory, since a step that fills the disk has something to
	# say about it. ulimit counts blocks of 512 bytes (POSIX); a write past it gives EFBIG, not a signal.
	wc -c <"$dir/sum" >"$dir/total" &
	kept=1024
	[ "$2" -ge "$kept" ] || kept=$2
	(
		trap '' XFSZ
		ulimit -f "$kept"
		exec tee -a "$dir/head" <"$dir/out" >"$dir/mid" 2>/dev/null
	) &
	(
		trap '' XFSZ
		ulimit -f "$2"
		exec tee -a "$log" <"$dir/mid" >"$dir/sum" 2>/dev/null
	) &
	writer=$!
	echo "$$ $writer $log" >"$dir/started"
	watchdog=
	if [ "$3" -gt 0 ] || [ "$4" -gt 0 ]; then
		watch "$3" "$4" &
		watchdog=$!
	fi
	{
		(umask 022 && exec setsid sh "$0" "$logs" launch "$dir" </dev/null >"$dir/out" 2>&1)
		code=$?
	} 2>"$dir/how"
	if [ -e "$dir/reason" ]; then
		[ -z "$watchdog" ] || wait "$watchdog"
	elif [ -n "$watchdog" ]; then
		kill "$watchdog" 2>/dev/null
	fi
	drain
	reason=ended
	[ -s "$dir/reason" ] && read -r reason <"$dir/reason"
	# Shells fold a signal into the exit status; dash and busybox say on their standard error that there was one.
	kind=code
	[ "$code" -gt 128 ] && [ -s "$dir/how" ] && kind=signal
	total=unknown
	[ -s "$dir/total" ] && read -r total <"$dir/total"
	echo "end $reason $kind $code $total" >"$dir/exit.new"
	mv "$dir/exit.new" "$dir/exit"
}

# Waits for the last output. A step may leave processes behind that keep its output open: then 0.3 s of silence will do.
drain() {
	now
	start=$now
	heard=$now
	rounds=0
	last=
	# By the clock, for at most five seconds; in a slow guest 0.3 s are few rounds, and one that is late is no silence.
	until [ -s "$dir/total" ] || [ $((now - start)) -ge 500 ] ||
		{ [ $((now - heard)) -ge 30 ] && [ "$rounds" -ge 10 ]; }; do
		printed
		rounds=$((rounds + 1))
		now
		if [ "$bytes" != "$last" ]; then
			last=$bytes
			heard=$now
			rounds=0
		fi
		sleep 0.01
	done
}

# Ends a step that takes too long or says nothing for too long.
watch() { # TIMEOUT SILENCE
	pause=1
	if [ "$1" -gt 0 ] && [ "$1" -le 10 ] || [ "$2" -gt 0 ] && [ "$2" -le 10 ]; then pause=0.2; fi
	now
	start=$now
	heard=$now
	last=
	while sleep "$pause"; do
		now
		if [ "$1" -gt 0 ] && [ $((now - start)) -ge "${1}00" ]; then
			stop "$dir" timed-out
			return
		fi
		[ "$2" -gt 0 ] || continue
		printed
		if [ "$bytes" != "$last" ]; then
			last=$bytes
			heard=$now
		elif [ $((now - heard)) -ge "${2}00" ]; then
			stop "$dir" silent
			return
		fi
	done
}

# Ends the process group of a step: asks, waits ten seconds, forces.
stop() { # DIR REASON
	[ -d "$1" ] || return 0
	[ -e "$1/exit" ] && return 0
	[ -s "$1/reason" ] || echo "$2" >"$1/reason"
	tries=0
	until [ -s "$1/pid" ] || [ "$tries" -ge 50 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
	read -r pid <"$1/pid" || return 0
	kill -TERM "-$pid" 2>/dev/null
	tries=0
	while [ "$tries" -lt 100 ] && kill -0 "-$pid" 2>/dev/null; do
		sleep 0.1
		tries=$((tries + 1))
	done
	kill -KILL "-$pid" 2>/dev/null
}

# Copies the log to standard output from OFFSET until the step has ended, then says on standard error how it ended.
follow() { # DIR OFFSET
	dir=$1
	tries=0
	until [ -s "$dir/started" ]; do
		[ "$tries" -lt 100 ] || lost
		[ "$tries" -lt 10 ] && sleep 0.01 || sleep 0.1
		tries=$((tries + 1))
	done
	read -r supervisor writer log <"$dir/started"
	exec 3<"$log" || lost
	[ "$2" -eq 0 ] || tail -c "+$(($2 + 1))" <&3 || exit 73
	pause=1
	last=
	while :; do
		ended=
		[ -e "$dir/exit" ] && ended=1
		printed
		if [ "$bytes" != "$last" ] || [ -n "$ended" ]; then
			last=$bytes
			pause=1
			cat <&3 || exit 73
		elif ! kill -0 "$supervisor" 2>/dev/null; then
			[ -e "$dir/exit" ] || lost
		fi
		[ -z "$ended" ] || break
		case $pause in ?) sleep "0.0$pause" ;; *) sleep "0.$pause" ;; esac
		pause=$((pause + (pause + 1) / 2))
		[ "$pause" -lt 20 ] || pause=20
	done
	# What the disk had no room for, as far as it was kept in memory.
	stored=$(wc -c <"$log")
	[ "$2" -le "$stored" ] || stored=$2
	tail -c "+$((stored + 1))" "$dir/head" 2>/dev/null
	cat "$dir/exit" >&2
}

lost() {
	echo lost >&2
	exit 72
}

# Writes a tar of the files that the patterns on standard input match, one pattern a line, relative to BASE. Says on
# standard error which of them matched nothing, or files that a list of lines cannot name.
collect() { # BASE
	newline='
'
	IFS=
	cd "$1" || exit 74
	base=$PWD
	list=$state/list.$$
	trap 'rm -f "$state/list.$$"*' EXIT
	index=0
	odd=
	: >"$list.all"
	while read -r pattern; do
		index=$((index + 1))
		names "$pattern" >>"$list.all" && continue
		odd=1
		expand . "$pattern" >"$list.one"
		[ -s "$list.one" ] || echo "nothing $index" >&2
		cat "$list.one" >>"$list.all"
	done
	# What one pattern matches comes sorted, and no name of it twice.
	if [ "$index$odd" = 1 ]; then
		list=$list.all
	else
		grep '^breaks ' "$list.all" >&2
		sed -n -e ':again' -e 's#/\./#/#' -e 't again' -e '/^\.\//p' "$list.all" | LC_ALL=C sort -u >"$list"
	fi
	[ -s "$list" ] || exit 0
	# busybox often has no -T. A long list makes several archives in a row then, and the reader takes them as one.
	case $(tar --version 2>/dev/null) in
	*GNU*)
		tr '\n' '\000' <"$list" | tar --null --no-recursion --hard-dereference -cf - -T -
		return
		;;
	esac
	# busybox makes a link of the second name that a file has in one archive: each of those gets an archive of its own.
	tr '\n' '\000' <"$list" | xargs -0 sh -c 'find "$@" -prune -type f -links +1' sh >"$list.one"
	sort "$list" "$list.one" | uniq -u | tr '\n' '\000' >"$list.all"
	[ ! -s "$list.all" ] || xargs -0 tar -cf - <"$list.all"
	tr '\n' '\000' <"$list.one" | xargs -0 -r -n 1 tar -cf -
}

# Prints what a pattern matches when that is simple: files, no folders, no line breaks, no `**`. Else it prints nothing and
# fails. No process and no loop: some thousand files take `expand` fifteen times as long.
names() { # PATTERN
	case $1 in *'**'*) return 1 ;; esac
	# With a slash behind it the pattern matches folders only, and stays as it is when there is none.
	set -- "$1" $1/
	[ $# -eq 2 ] && ! [ -d "$2" ] || return 1
	set -- $1
	case $* in *"$newline"*) return 1 ;; esac
	[ $# -gt 1 ] || [ -e "$1" ] || [ -L "$1" ] || return 1
	printf '%s\n' "$@"
}

# Prints all files that a pattern matches below a folder. Called with the working folder at BASE.
expand() { # FOLDER PATTERN
	cd "$1" 2>/dev/null || return 0
	case $2 in
	*'/**/'*)
		# Unquoted on purpose: the shell expands it; IFS is empty, so nothing is split.
		set -- "$1" "./${2#*'/**/'}" ${2%%'/**/'*}
		cd "$base" || return 0
		folder=$1
		rest=$2
		shift 2
		for at; do
			at=$folder/$at
			[ -d "$at" ] && ! [ -L "$at" ] || continue
			find "$at" -path "*$newline*" -prune -o -type d -print | while read -r below; do
				expand "$below" "$rest"
			done
		done
		;;
	*)
		set -- "$1" $2
		cd "$base" || return 0
		folder=$1
		shift
		for at; do
			at=$folder/$at
			# No process for a file: a pattern may match thousands.
			if [ -d "$at" ] && ! [ -L "$at" ]; then
				find "$at" -path "*$newline*" -prune -exec printf 'breaks %s\n' "$index" ';' -o ! -type d -print
			elif [ -L "$at" ] || [ -e "$at" ]; then
				case $at in *"$newline"*) echo "breaks $index" ;; *) printf '%s\n' "$at" ;; esac
			fi
		done
		;;
	esac
}

case $command in
settle) settle "$1" ;;
step) step "$@" ;;
supervise) supervise "$@" ;;
stop) stop "$state/$1" cancelled ;;
collect) collect "$1" ;;
esac
