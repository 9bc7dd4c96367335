#!/usr/bin/env bash
# Runs the Go tests, under the race detector but for the end-to-end tests, and says how
# many ran on each engine. With arguments, those packages alone, under the detector.
# Shown: a line for each package, whatever failed in full, and the engines at the end;
# all the rest is in .cache/unit.log. The exit status is go test's, or 1 if a test was
# skipped or, when all packages run, if an engine ran none.
#
# A test runs on an engine if the engine's name is a part of its path, or if it says
# "engine: NAME" in its log, as pgtest, dynamotest and the browser do when they are used.
set -uo pipefail
cd "$(dirname "$0")/.."
mkdir -p .cache
go=${GO:-go}
# go vet is lint's, which need not compile everything anew for it.
under_race() (
	. scripts/race.sh
	# Garbage may wait: memory is not what is short. Nor are processors while tests wait for
	# disks and servers: half as many packages again as there are processors run at a time.
	"$go" test "${race[@]}" -p "$(($(nproc) * 3 / 2))" -exec 'env GOGC=300' -vet off -timeout 20m -v "$@" 2>&1
)
# The end-to-end tests drive a binary that is built without the detector, which would see
# their own steps alone. They mostly wait for browsers and processes, so two run at a time;
# those that measure what payers wait for come first, each alone.
end_to_end() {
	local measured='TestF28|TestPaymentPageIsUsableAtOnce' failed=0
	"$go" test -count 1 -vet off -run "$measured" -v ./cmd/paylink 2>&1 || failed=1
	"$go" test -count 1 -vet off -skip "$measured" -parallel 2 -timeout 25m -v ./cmd/paylink 2>&1 || failed=1
	return "$failed"
}
everything() {
	local failed=0
	# The packages whose tests take minutes come first, or the last one would run alone.
	under_race ./internal/store/sqlstore ./internal/store/dynamo ./internal/coordinator ./internal/rpc $("$go" list ./... | grep -v '/cmd/paylink$') || failed=1
	end_to_end || failed=1
	return "$failed"
}
run=(everything)
[ $# -gt 0 ] && run=(under_race "$@")
"${run[@]}" | tee .cache/unit.log | awk -v all=$(($# == 0)) '
function name_of(line) { sub(/^ *--- [A-Z]+: /, "", line); sub(/ \([0-9.]+s\)$/, "", line); return line }
function keep(line) { if (!(now in text)) order[++kept] = now; text[now] = text[now] line "\n" }
function forget() { split("", text); split("", order); split("", result); split("", parent); split("", on); kept = 0; now = "" }
# What passed is left out; what failed, never ended, or belongs to no test is shown.
function show(i) { for (i = 1; i <= kept; i++) if (result[order[i]] != "PASS" && result[order[i]] != "SKIP") printf "%s", text[order[i]] }
function count(test, e, up) {
	for (test in result) {
		if (result[test] != "PASS" || (test in parent)) continue
		for (e = 1; e <= engines; e++) {
			if (("/" test "/") ~ ("/" engine[e] "/")) { ran[e]++; continue }
			up = test
			while (!((up, e) in on) && sub(/\/[^\/]*$/, "", up)) {}
			if ((up, e) in on) ran[e]++
		}
	}
}
BEGIN { engines = split("SQLite PostgreSQL DynamoDB Chromium", engine, " "); forget() }
/^=== (RUN|NAME|CONT|PAUSE) / { now = $3; next }
/^ *--- (PASS|FAIL|SKIP): / {
	now = test = name_of($0); result[test] = substr($2, 1, 4)
	if ($2 == "FAIL:") keep($0)
	if ($2 == "SKIP:") skipped = skipped " " test
	up = test; while (sub(/\/[^\/]*$/, "", up)) parent[up] = 1
	now = ""; next
}
/ engine: [A-Za-z]+$/ { for (e = 1; e <= engines; e++) if ($NF == engine[e]) on[now, e] = 1 }
/^(ok  |FAIL|\?   )\t/ { if (/^FAIL/) { show(); bad = bad " " $2 ";" } count(); forget(); print; fflush(); next }
/^(PASS|FAIL)$/ { now = ""; next }
/^\t/ && /coverage: / { print; next }
{ keep($0) }
END {
	show()
	line = "engines:"
	for (e = 1; e <= engines; e++) {
		line = line sprintf(" %s %d tests,", engine[e], ran[e])
		if (all && !ran[e]) bad = bad " no test ran on " engine[e] ";"
	}
	if (skipped != "") bad = bad " skipped:" skipped
	print line (skipped == "" ? " none skipped" : " some skipped")
	if (bad != "") { print "FAIL:" bad; exit 1 }
}'
status=("${PIPESTATUS[@]}")
[ "${status[0]}" -ne 0 ] && exit "${status[0]}"
exit "${status[2]}"
