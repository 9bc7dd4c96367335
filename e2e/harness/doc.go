// Package harness runs paylink as its operators do, for the end-to-end tests in the
// folders beside it: the built binary (PAYLINK_BINARY, or one that it builds), over its
// public addresses, ended by SIGTERM.
//
//   - Start runs one server on a data folder of its own; StoreOn and PaymentsOn choose
//     its stores. Deploy and Distribute run every target as processes of their own.
//   - Process.Merchant makes an account; its Client calls the API and holds each
//     exchange against the OpenAPI document.
//   - OpenBrowser starts Chromium. Its steps wait until what they need is there.
//   - Command, Worked and Refused run a command to its end; Developer gives a Terminal
//     for the commands that call a server.
//   - Eventually polls. Nothing else waits, and nothing sleeps.
//
// Whatever a call starts ends with the test that it is given, and must end well. A call
// that cannot do its work fails that test. Tests may run side by side.
package harness
