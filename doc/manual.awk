# usage: awk -v program=TAPIR -f manual.awk tapir.1.in
# Fills the lists of options into the manual page. They are those of --help,
# which is printed from the tables that also parse: names, arguments and order
# come from there, and the words too, unless the page has better ones:
#
#	@options FRONT NAMES	the options of `tapir FRONT` whose names match
#				the regular expression, or with a ! do not
#	@option NAME		and now what the page says about that one
#	@end

function fail(text)
{
	print FILENAME ":" FNR ": " text >"/dev/stderr"
	failed = 1
	exit 1
}

function escaped(text)
{
	gsub(/\\/, "\\e", text)
	gsub(/-/, "\\-", text)
	return text
}

# Takes "-n, --name=ARG  help" apart; without a name the line continues the
# help above it.
function take(line,    tag, at)
{
	at = match(line, /   *[^ ]/)
	tag = substr(line, 1, at - 1)
	line = substr(line, at)
	sub(/^ */, "", line)
	if (tag == "") {
		if (count > 0)
			help[count] = help[count] " " line
		return
	}
	count++
	help[count] = line
	arg[count] = ""
	at = index(tag, "=")
	if (at > 0) {
		arg[count] = substr(tag, at + 1)
		tag = substr(tag, 1, at)
	}
	opt[count] = tag
	name[count] = tag
	sub(/^.*--/, "", name[count])
	sub(/=$/, "", name[count])
	place[name[count]] = count
}

# The options of a front's --help: its lines between the first and the last that
# look like one.
function read_help(front,    command, line, inside)
{
	count = 0
	split("", place)
	split("", words)
	command = "'" program "' " front " --help"
	while ((command | getline line) > 0) {
		if (line ~ /^(-[^ ], )?--[a-z]/)
			inside = 1
		else if (line !~ /^      /)
			inside = 0
		if (inside)
			take(line)
	}
	if (close(command) != 0 || count == 0)
		fail("cannot have the options of " front)
}

function is_wanted(i)
{
	if (pattern ~ /^!/)
		return name[i] !~ substr(pattern, 2)
	return name[i] ~ pattern
}

function sentence(text)
{
	text = toupper(substr(text, 1, 1)) substr(text, 2)
	return (text ~ /^[.']/ ? "\\&" : "") escaped(text) "."
}

function print_options(    i)
{
	for (i = 1; i <= count; i++) {
		if (!is_wanted(i))
			continue
		print ".TP"
		if (arg[i] == "")
			print ".B " escaped(opt[i])
		else
			print ".BI \"" escaped(opt[i]) "\" " escaped(arg[i])
		printf "%s", name[i] in words ? words[name[i]] \
					      : sentence(help[i]) "\n"
	}
}

$1 == "@options" {
	if (listing)
		fail("no @end")
	read_help($2)
	pattern = $3 == "" ? "." : $3
	listing = 1
	about = ""
	next
}
$1 == "@option" {
	about = $2
	if (!(about in place) || !is_wanted(place[about]))
		fail("the list has no " about)
	words[about] = ""
	next
}
$1 == "@end" {
	print_options()
	listing = 0
	next
}
listing && about == "" { fail("text without an @option") }
listing { words[about] = words[about] $0 "\n"; next }
{ print }
END {
	if (!failed && listing)
		fail("no @end")
}
