#!/usr/bin/env bash
# Calls the API with curl, as the documents show it and in other spellings, and prints a line for each.
set -u
call() { curl -s -o /dev/stderr -w '%{http_code}' "$@" 2>>"$answers"; }
report() { # name, then the statuses
  local name=$1 ok=ok; shift
  for status in "$@"; do [ "$status" = 200 ] || ok="failed: $* $(tr -d '\n' <"$answers")"; done
  echo "$name $ok"
}
answers=$(mktemp); trap 'rm -f "$answers"' EXIT
json='{"amount":"12.50","currency":"EUR","description":"Two coffees"}'
report curl "$(call -u "$PAYLINK_KEY:$PAYLINK_SECRET" "$PAYLINK_URL/api/payment" -H 'Content-Type: application/json' -H 'Idempotency-Key: curl' -d "$json")" \
  "$(call -u "$PAYLINK_KEY:$PAYLINK_SECRET" "$PAYLINK_URL/api/payments")"
report curl-chunked-expect "$(call -H "authorization: bearer $PAYLINK_SECRET" "$PAYLINK_URL/api/payment" -H 'content-type: application/json' -H 'Transfer-Encoding: chunked' -H 'Expect: 100-continue' -d "$json")" \
  "$(call -I -H "Authorization: Bearer $PAYLINK_SECRET" "$PAYLINK_URL/api/payments")"
report curl-http1.0 "$(call -0 -u "$PAYLINK_KEY:$PAYLINK_SECRET" "$PAYLINK_URL/api/payment" -H 'Content-Type: application/json' -d "$json")" \
  "$(call -0 -A '' -H 'Accept:' -u "$PAYLINK_KEY:$PAYLINK_SECRET" "$PAYLINK_URL/api/payments")"
report curl-h2c "$(call --http2 --compressed -u "$PAYLINK_KEY:$PAYLINK_SECRET" "$PAYLINK_URL/api/payment" -H 'Content-Type: application/json' -d "$json")" \
  "$(call --http2 --compressed -u "$PAYLINK_KEY:$PAYLINK_SECRET" "$PAYLINK_URL/api/payments")"
