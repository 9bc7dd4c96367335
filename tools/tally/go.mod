module github.com/paylink/paylink/tools/tally

go 1.26.4
