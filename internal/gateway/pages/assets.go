package pages

import (
	_ "embed" // the two files below

	"github.com/paylink/paylink/internal/gateway/asset"
)

//go:embed assets/paylink.css
var ownCSS []byte

//go:embed assets/paylink.js
var jsBytes []byte

// The files that pages load. Each is served under an address with its hash, so a browser
// may keep it forever.
var (
	cssBytes = asset.Sheet(ownCSS)
	cssAsset = asset.New("/assets/paylink.css", cssBytes)
	jsAsset  = asset.New("/assets/paylink.js", jsBytes)
	svgAsset = asset.New("/assets/paylink.svg", asset.Icon)
	assets   = []asset.Asset{cssAsset, jsAsset, svgAsset, frameAsset, solveAsset}
)
