#!/usr/bin/env bash
# Runs the Go tests and reports while they run (tools/tally): a line for each package and
# each slow test, the whole output of whatever failed, and at the end where the time went
# and how many tests ran on each engine. It fails if a test failed or was skipped, or if
# an engine ran none. The events are kept in .cache/MODE.json.
#
#   test.sh quick            every test but those of the modes below
#   test.sh race [PACKAGE…]  the tests of what runs at the same time, under the race detector
#   test.sh pages            accessibility of the dashboard and of accounts, which keeps Chromium busy
#                            for minutes
#   test.sh looks            every page in every look (theme, width, language) with all rules of
#                            accessibility; quick checks all rules in one look of each page, and in
#                            the other looks what depends on the look
#   test.sh large            lists of a million rows, floods, and what is measured, alone
#
# The end-to-end tests in e2e drive the built binary, with browsers, whole deployments of
# 17 processes, and DynamoDB Local. They mostly wait, so they run beside the others, four
# packages at a time.
#
# PAYLINK_TEST_FULL is set where a test that quick runs in part runs whole: race runs the
# simulation on DynamoDB at its full length, and looks has axe-core check everything in
# every look of every page.
set -uo pipefail
cd "$(dirname "$0")/.."
mode=$1
shift
mkdir -p .cache
go=${GO:-go}

# Tests of size, and tests that hold the product to a time: these need the machine alone.
large='TestMillionPayments|TestF29|TestTenThousandPayments|TestHotShard|TestSizeF53|TestF28CardTestingFlood|TestF28LimitsStandBefore|TestPaymentPageIsUsableAtOnce|TestProofOfWorkIsQuick'
# The dashboard's accessibility has a mode of its own, because it takes a third of the time.
pages='TestDashboardAccessibility|TestAccountAccessibility'
engines=SQLite,PostgreSQL,DynamoDB,Chromium

quick() {
	# The packages whose tests take minutes come first, or the last one would run alone:
	# those that wait for processes beside those that do not.
	"$go" test -json -vet off -count 1 -timeout 40m -ldflags "-s -w" -skip "$large|$pages" -p 4 -parallel 2 \
		./e2e/crash ./internal/store/sqlstore ./internal/store/projection ./internal/store/dynamo ./e2e/pages ./internal/notify/webhook \
		./e2e/story ./internal/coordinator ./internal/sim ./internal/gateway/dashboard ./e2e/split ./internal/rpc ./e2e/cli \
		./internal/merchant ./internal/fraud ./internal/notify ./internal/mail/office ./internal/archive $("$go" list ./...) 2>&1
}
race() (
	. scripts/race.sh
	# What has no goroutines has nothing for the detector to see, and the steps of e2e are
	# those of its tests.
	[ $# -gt 0 ] || set -- ./internal/store/sqlstore ./internal/store/projection ./internal/store/dynamo ./internal/coordinator ./internal/rpc \
		$("$go" list ./... | grep -vE '/(cmd/paylink|e2e/.*|docs/api|internal/(money|id|fault|spelling|ledger|payment|i18n|idempotency|receipt|stream|fraud/(score|rule)|gateway/(problem|apidocs)))$')
	# Garbage may wait: memory is not what is short.
	PAYLINK_TEST_FULL=1 "$go" test -json "${race[@]}" -p "$(($(nproc) * 3 / 2))" -exec 'env GOGC=300' -vet off -timeout 30m -skip "$large|TestF26TheSuiteInAStorm" "$@" 2>&1
)
pages() {
	"$go" test -json -vet off -count 1 -ldflags "-s -w" -timeout 40m -parallel 4 -run "$pages" ./e2e/pages 2>&1
}
looks() {
	PAYLINK_TEST_FULL=1 "$go" test -json -vet off -count 1 -ldflags "-s -w" -timeout 40m -parallel 4 -run Accessibility ./e2e/pages 2>&1
}
large() {
	"$go" test -json -vet off -count 1 -ldflags "-s -w" -timeout 30m -p 1 -run "$large" ./e2e/crash ./e2e/pages ./internal/store/sqlstore ./internal/store/projection ./internal/store/dynamo ./internal/gateway/dashboard/payments 2>&1 || return 1
	"$go" test -json -vet off -count 1 -ldflags "-s -w" -run TestGeneratedRequests ./internal/gateway/api -generated 20000 2>&1
}
case $mode in
quick) ;;
race) engines=SQLite,PostgreSQL,DynamoDB ;;
pages | looks) engines=Chromium ;;
large) engines= ;;
*) echo "test.sh: there is no mode $mode" >&2; exit 2 ;;
esac
[ $# -eq 0 ] || engines=
"$mode" "$@" | tee ".cache/$mode.json" | "$go" -C tools/tally run . -engines "$engines"
status=("${PIPESTATUS[@]}")
[ "${status[0]}" -ne 0 ] && exit "${status[0]}"
exit "${status[2]}"
