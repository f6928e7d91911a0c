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
# fails. No process and no loop: some thousand files take `expand` three times as long.
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

[ "$command" != collect ] || collect "$1"
