// Package apispec holds the OpenAPI document of the HTTP contract, the source of
// truth that the router and its answers are tested against.
package apispec

import _ "embed"

// YAML is the document.
//
//go:embed openapi.yaml
var YAML []byte
