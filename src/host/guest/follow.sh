# Empties the logs of the steps that have ended. Whoever begins another step has them whole, and in a small guest they would
# use up memory and disk.
forget() {
	for head in "$state"/*.head; do
		[ -s "$head" ] && read -r _ <"${head%.head}.exit" || continue
		true >"$head"
		get "${head%.head}.more" || continue
		{ true >"$got"; } 2>/dev/null
	done
}

# Starts a step unless it was started before, then follows it. Standard input: ENV_LINES lines of shell that export the
# environment, then RUN_BYTES bytes of the step's text.
step() { # NUMBER OFFSET LOG_BYTES TIMEOUT SILENCE ENV_LINES RUN_BYTES
	dir=$state/$1
	if ! [ -e "$dir.lock" ]; then
		forget
		# Two may try at once, when one of them has a dead connection and does not know it yet. Of these `true >file` one
		# makes the file, and the other fails.
		set -C
		fresh=$dir
		{ true >"$dir.env"; } 2>/dev/null || fresh=$dir.$$
		set +C
		lines=0
		while [ "$lines" -lt "$6" ]; do
			IFS= read -r line || exit 71
			printf '%s\n' "$line" || no_room
			lines=$((lines + 1))
		done >"$fresh.env"
		wrote self
		before=$wchar
		LC_ALL=C dd bs=65536 >"$fresh.run" 2>"$fresh.sent" || no_room
		copied "$before" "$fresh.sent"
		# A connection that was cut must not start half a step.
		[ "$copied" -eq "$7" ] || exit 71
		set -C
		if { true >"$dir.lock"; } 2>/dev/null; then
			reserve "$dir" || no_room
			# One page of what the step prints has room as well.
			echo >"$dir.head" || no_room
			trap : USR1
			began self
			# With `&` a shell has what it starts ignore SIGINT and SIGQUIT (POSIX 2.11), and nothing that a step does could undo
			# that. A setsid whose process leads a group already, as the first one sees to, forks and does not wait.
			setsid setsid sh "$0" "$logs" supervise "$dir" "$fresh" "$3" "$4" "$5" "$$" "$began" </dev/null >/dev/null 2>&1
		fi
		set +C
	fi
	follow "$dir" "$2"
}

# Copies the log to standard output from OFFSET until the step has ended, then says on standard error how it ended.
follow() { # DIR OFFSET
	dir=$1
	tries=0
	# Once it has its first byte, or again has none because the step is long over.
	until { [ -s "$dir.head" ] || read -r _ <"$dir.exit"; } 2>/dev/null; do
		[ "$tries" -lt 100 ] || give_up
		[ "$tries" -lt 10 ] && sleep 0.01 || sleep 0.1
		tries=$((tries + 1))
	done
	tries=0
	exec 3<"$dir.head" || give_up
	# The line break that reserved its room.
	read -r _ <&3
	log=
	if [ "$2" -gt 0 ]; then
		skip=$2
		# What is in memory is measured only once it grows no more.
		if read -r _ <"$dir.more"; then
			kept=$(($(wc -c <"$dir.head") - 1))
			if [ "$skip" -ge "$kept" ]; then
				turn
				skip=$((skip - kept))
			fi
		fi
		tail -c "+$((skip + 1))" <&3 || exit 73
	fi
	last=
	cut=
	spoken=
	while :; do
		ended=
		line=
		nap=0.2
		{ get "$dir.exit"; } 2>/dev/null && ended=1 line=$got
		printed
		case $ended$line in
		'' | *' 0') ;;
		*) spoken=1 ;;
		esac
		if [ "$progress" != "$last" ] || [ -n "$ended" ]; then
			last=$progress
			if [ -z "$cut" ]; then
				nap=0.1
				bring
			fi
		elif ! supervised; then
			read -r _ <"$dir.exit" || give_up
		fi
		[ -z "$ended" ] || break
		# In the background, since a signal ends a wait and no program.
		sleep "$nap" >/dev/null 2>&1 &
		wait "$!"
	done
	echo "$line" >&2
}

# Whether the step has its supervisor, which may take ten seconds to begin.
supervised() {
	if get "$dir.started"; then
		kill -0 "$got" 2>/dev/null
	else
		tries=$((tries + 1))
		[ "$tries" -lt 50 ]
	fi
}

# Copies what has come since the last time.
bring() {
	# What is in memory is complete once there is more on the disk, and both are once the rest is not kept.
	[ -e "$dir.cut" ] && cut=1
	if [ -z "$log" ] && read -r _ <"$dir.more"; then
		forward
		turn
	fi
	forward
}

forward() {
	# A process less for a step that has said nothing.
	[ -n "$spoken" ] || return 0
	dd bs=65536 <&3 2>/dev/null || exit 73
}

# Goes from the part of the log in memory to that on the disk.
turn() {
	get "$dir.more"
	log=$got
	exec 3<"$log" || give_up
}

give_up() {
	echo lost >&2
	exit 72
}

no_room() {
	echo "no room in $state" >&2
	exit 74
}

if [ "$command" = step ]; then
	step "$@"
	exit
fi

