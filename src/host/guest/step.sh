# Monotonic hundredths of a second.
now() {
	read -r now _ </proc/uptime
	now=${now%.*}${now#*.}
}

# How far the step's output has come: a text that changes as it grows, also after the log is cut.
printed() {
	progress=
	for file in "$dir.copier" "$dir.keeper"; do
		{ get "$file"; } 2>/dev/null || continue
		pid=$got
		wrote "$pid"
		[ "${wchar:-0}" = 0 ] || spoken=1
		progress="$progress $pid $wchar"
	done
}

# How many bytes a dd that was waited for has copied: what this shell and those it has waited for have written since BEFORE,
# less dd's own words in FILE. busybox's may not say it in bytes, so it is asked for its records alone. So between the `wrote
# self` that gave BEFORE and this, no builtin of this shell may write anything that BEFORE does not allow for, and no other
# process may be waited for: it would pass for the step's output.
copied() { # BEFORE FILE
	wrote self
	copied=$((wchar - $1))
	said=$copied
	records_in=
	records_out=
	while IFS= read -r line; do
		copied=$((copied - ${#line} - 1))
		case $line in
		*' records in') records_in=${line%% *} ;;
		*' records out') records_out=${line%% *} ;;
		esac
	done <"$2"
	# The next one's words may be fewer.
	said=$((said - copied))
	printf "%${said}s" '' 1<>"$2"
}

# Copies the step's output to standard output as it comes, until it ends or BYTES have been copied, and no byte more.
copy() { # BYTES
	left=$1
	while [ "$left" -gt 0 ] && [ -z "$eof" ]; do
		# So many records cannot be too many bytes; that they are too few, since dd counts a short one too, is seen after it.
		size=$((left / 1024))
		[ "$size" -le 65536 ] || size=65536
		[ "$size" -ge 512 ] || size=512
		[ "$left" -ge "$size" ] || size=1
		records=$((left / size))
		if ! [ -e "$dir.dd" ]; then
			# Somebody took the runner's folder away: nobody can ask for the log any more, and the step is still to notice nothing.
			lost=1
			eof=1
			cat <&3 >/dev/null
			return
		fi
		wrote self
		before=$wchar
		LC_ALL=C dd bs="$size" count="$records" <&3 2<>"$dir.dd" &
		copier=$!
		echo "$copier" 1<>"$dir.copier"
		wait "$copier"
		code=$?
		# That echo has written the number and a line break meanwhile.
		copied $((before + ${#copier} + 1)) "$dir.dd"
		total=$((total + copied))
		left=$((left - copied))
		if [ -n "$records_in" ] && [ "$records_in" = "$records_out" ]; then
			[ $((${records_in%+*} + ${records_in#*+})) -eq "$records" ] || eof=1
		else
			# It could not write, or somebody killed it: what it had in hand is lost, and nobody knows how much that was.
			lost=1
			if [ "$code" -le 128 ]; then
				gap=1
				return
			fi
			[ "$copied" -gt 0 ] || return
		fi
	done
}

# Puts its input into a file until it ends or the disk is full, and swallows the rest: what came after a gap would pass for
# what was printed there, as with busybox's tee, which goes on writing when there is room again.
keep() { # FILE
	cat <&3 >>"$1" 2>/dev/null &
	echo "$!" 1<>"$dir.keeper"
	wait "$!" || exec cat <&3 >/dev/null
}

# Takes all that the step prints, keeps as much of it as the log may have, and counts it. The step never notices.
capture() { # LOG_BYTES
	exec 3<"$dir.out"
	total=0
	lost=
	gap=
	eof=
	kept=524288
	[ "$1" -ge "$kept" ] || kept=$1
	copy "$kept" >>"$dir.head"
	# When the memory is full the log ends there: on the disk it would go on behind a gap.
	if [ -z "$eof$gap" ] && [ "$total" -lt "$1" ] && mkfifo "$dir.mid"; then
		mkdir -p "$logs" 2>/dev/null
		log=$logs/${dir##*/}
		{ true >"$log"; } 2>/dev/null || {
			log=$dir.log
			true >"$log"
		}
		keep "$log" 3<"$dir.mid" &
		keeper=$!
		echo "$log" 1<>"$dir.more"
		# Through a pipe, since a dd that cannot write would lose what it has in hand, and the count with it.
		copy $(($1 - total)) >"$dir.mid"
		wait "$keeper"
	fi
	[ -n "$eof" ] || true >"$dir.cut"
	# The rest is counted and dropped, in one go. It comes back before its end when somebody kills a dd that has copied nothing
	# yet; a step that goes on doing that is not to keep this shell busy for good, and prints into a closed pipe then.
	for _ in 1 2 3; do
		[ -n "$eof" ] || copy 4611686018427387904 >/dev/null
	done
	[ -z "$lost" ] || total=lost
	echo "$total" 1<>"$dir.total"
}

# When a process began, as the kernel counts: with its number this names it for good.
began() { # PID
	began=
	read -r _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ began _ 2>/dev/null <"/proc/$1/stat"
}

supervise() { # DIR FRESH LOG_BYTES TIMEOUT SILENCE FOLLOWER BEGAN
	dir=$1
	echo $$ 1<>"$dir.started"
	mkfifo "$dir.out"
	capture "$3" &
	watchdog=
	if [ "$4" -gt 0 ] || [ "$5" -gt 0 ]; then
		watch "$4" "$5" &
		watchdog=$!
	fi
	{
		(umask 022 && exec setsid sh "$0" "$logs" launch "$dir" "$2" </dev/null >"$dir.out" 2>&1)
		code=$?
	} 2<>"$dir.how"
	reason=
	get "$dir.reason" && reason=$got
	# A watchdog that ends the step sees that through. One that had no part in it would sleep until the step's limit.
	case $watchdog,$reason in
	,*) ;;
	*,timed-out | *,silent) wait "$watchdog" ;;
	*) kill "$watchdog" 2>/dev/null ;;
	esac
	drain
	get "$dir.reason" && reason=$got || reason=ended
	# Shells fold a signal into the exit status; dash and busybox say on their standard error that there was one.
	kind=code
	[ "$code" -gt 128 ] && read -r _ <"$dir.how" && kind=signal
	get "$dir.total" && total=$got || total=unknown
	# One short write: whoever finds the end of the line finds all of it.
	echo "end $reason $kind $code $total" 1<>"$dir.exit"
	# Who follows sleeps between two looks. It is woken if it is still there: else its number may be another's by now.
	began "$6"
	[ "$began" != "$7" ] || kill -USR1 "$6"
}

# Waits for the last output. A step may leave processes behind that keep its output open: then 0.3 s of silence will do.
drain() {
	now
	start=$now
	heard=$now
	rounds=0
	last=
	# By the clock, for at most five seconds; in a slow guest 0.3 s are few rounds, and one that is late is no silence.
	until read -r _ <"$dir.total" || [ $((now - start)) -ge 500 ] ||
		{ [ $((now - heard)) -ge 30 ] && [ "$rounds" -ge 10 ]; }; do
		printed
		now
		if [ "$progress" != "$last" ]; then
			last=$progress
			heard=$now
			rounds=0
		fi
		# The last output is nearly always there sooner than a sleep could be started.
		[ $((now - start)) -ge 2 ] || continue
		rounds=$((rounds + 1))
		sleep 0.01
	done
}

# Ends a step that takes too long or says nothing for too long. Nearly every step has a limit, its attempt's, which is mostly
# far away: then a guest is not made to start a process every second for it.
watch() { # TIMEOUT SILENCE
	pause=1
	[ "$2" -gt 0 ] || [ "$1" -le 60 ] || pause=10
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
		[ "$pause" != 10 ] || [ $((now - start)) -lt "$(($1 - 20))00" ] || pause=1
		[ "$2" -gt 0 ] || continue
		printed
		if [ "$progress" != "$last" ]; then
			last=$progress
			heard=$now
		elif [ $((now - heard)) -ge "${2}00" ]; then
			stop "$dir" silent
			return
		fi
	done
}

# Ends the process group of a step: asks, waits ten seconds, forces.
stop() { # DIR REASON
	[ -e "$1.lock" ] || return 0
	read -r _ <"$1.exit" && return 0
	read -r _ <"$1.reason" || echo "$2" 1<>"$1.reason"
	tries=0
	until get "$1.pid"; do
		[ "$tries" -lt 50 ] || return 0
		sleep 0.1
		tries=$((tries + 1))
	done
	pid=$got
	kill -TERM "-$pid" 2>/dev/null
	tries=0
	while [ "$tries" -lt 100 ] && kill -0 "-$pid" 2>/dev/null; do
		sleep 0.1
		tries=$((tries + 1))
	done
	kill -KILL "-$pid" 2>/dev/null
}

case $command in
supervise)
	supervise "$@"
	exit
	;;
stop)
	stop "$state/$1" cancelled
	exit
	;;
esac

